"""Experiment: from an environment's id and an algorithm's name to a finished run.

It makes the worlds, the agent, the replay and the loop from the bindings, and starts them.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from offpcc import bindings
from offpcc.algorithms import Agent, Policy
from offpcc.bindings import configured
from offpcc.catalog import CONFIGS, algorithm_file, bare, domain_config
from offpcc.checkpoint import Checkpoints
from offpcc.collect import Collector
from offpcc.data import Spec
from offpcc.evaluate import Evaluator
from offpcc.faults import ConfigError, RunExistsError
from offpcc.folder import RunFolder
from offpcc.interrupt import Interrupt
from offpcc.progress import Progress
from offpcc.recipe import Recipe
from offpcc.record import Mirror, Recorder, TensorBoard, WandB
from offpcc.train import Training, columns
from offpcc.world import World, make_world

MAY_CHANGE = ("Training.", "Evaluator.", "Recipe.checkpoints", "Recipe.device", "Recipe.threads")


@dataclass
class Run:
    """A run by name, and the settings that it was asked for beside its config."""

    env: str
    algo: str
    _: KW_ONLY
    run_id: str = "1"
    config: str | None = None  # a gin file; None: the domain's own, if there is one
    bind: Sequence[str] = ()  # gin lines on top of everything
    seed: int | None = None  # None: drawn
    results: str = "results"
    wandb: str = "off"  # or online, offline

    @property
    def folder(self) -> RunFolder:
        """Where it is on the disk."""
        name = bare(self.env).replace("/", "-")
        return RunFolder(Path(self.results) / name / self.algo / self.run_id)

    def files(self) -> list[Path]:
        """The algorithm's file, and the config on top of it. Raises ValueError."""
        config = Path(self.config) if self.config else domain_config(self.env)
        return [algorithm_file(self.algo), *([config] if config else [])]


def run(
    env: str,
    algo: str,
    *,
    steps: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    **settings: Any,
) -> RunFolder:
    """Trains, as the command line does, and gives the run's folder.

    settings: the other fields of `Run`. Raises ValueError for bad input, before anything is
    written; see `launch.py` for what else can end a run.
    """
    bind = list(settings.pop("bind", ()))
    if steps is not None:
        bind.append(f"steps = {steps}")
    asked = Run(env, algo, bind=bind, **settings)
    return proceed(asked) if resume else begin(asked, overwrite)


def begin(asked: Run, overwrite: bool = False) -> RunFolder:
    """Starts a run from its first step."""
    bindings.load(asked.files(), asked.bind)
    folder = asked.folder
    if folder.exists and not overwrite:
        raise RunExistsError(
            f"{folder.path} exists; continue it with --resume, replace it with --overwrite, or "
            "give another --run_id"
        )
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if asked.seed is None else asked.seed
    built = Built(asked, seed)
    with folder.locked(), Interrupt() as interrupt:
        folder.clear()
        (folder / "config.gin").write_text(built.config)
        folder.write(describe(asked, built))
        return built.train(interrupt)


def proceed(asked: Run) -> RunFolder:
    """Continues a stopped run exactly where its newest valid checkpoint was."""
    folder = asked.folder
    before = folder.read()
    if asked.seed not in (None, before["seed"]):
        raise ConfigError(
            f"the run's seed is {before['seed']}; it can not be continued with another"
        )
    files = asked.files() if asked.config else [folder / "config.gin"]
    bindings.load(files, asked.bind)
    built = Built(asked, before["seed"])
    refuse_changes((folder / "config.gin").read_text(), built.config)
    with folder.locked(), Interrupt() as interrupt:
        parts, manifest = built.checkpoints.load(built.replay)
        built.checkpoints.forget_after(manifest["step"])
        folder.write(before | {"steps_now": built.steps})
        return built.train(interrupt, parts)


class Built:
    """The parts of a run, made from the loaded bindings."""

    def __init__(self, asked: Run, seed: int) -> None:
        self.asked, self.seed, self.folder = asked, seed, asked.folder
        self.recipe: Recipe = configured(Recipe)()
        self.device = _device(self.recipe.device)
        if self.recipe.threads:
            torch.set_num_threads(self.recipe.threads)
        worlds = [self.world() for _ in range(self.recipe.copies)]
        self.spec = worlds[0].spec_of_agent
        self.agent: Agent = make_agent(self.recipe, self.spec, seed, self.device)
        self.replay = self.recipe.replay(
            self.spec, self.agent.state_size, store_states=self.recipe.store_states, seed=seed
        )
        self.collector: Collector = configured(Collector)(self.agent, worlds, seed=seed)
        self.evaluator: Evaluator = configured(Evaluator)([], seed=seed)
        count = min(self.evaluator.episodes, 10)
        self.evaluator.worlds = [self.world() for _ in range(count)]
        self.checkpoints = Checkpoints(self.folder / "checkpoints", self.recipe.checkpoints)
        # Built once without its recorder, so that gin knows every value that is used.
        self.steps = configured(Training)(
            self.agent, self.replay, self.collector, self.evaluator, None
        ).steps
        self.config = bindings.operative()

    def world(self) -> World:
        """A fresh copy of the world, as the config asks for it."""
        made: World = configured(make_world)(self.asked.env)
        return made

    def train(self, interrupt: Interrupt, parts: dict[str, Any] | None = None) -> RunFolder:
        """Trains from the start or from a checkpoint's parts."""
        start = parts["run"]["collector"]["steps"] if parts else 0
        progress = Progress(self.steps, start)
        names = columns(self.agent)
        recorder = Recorder(self.folder.path, names, [progress, *self.mirrors()])
        self.evaluator.interrupt = interrupt
        training: Training = configured(Training)(
            self.agent, self.replay, self.collector, self.evaluator, recorder,
            checkpoints=self.checkpoints, interrupt=interrupt, advance=progress.advance,
            facts={"env": self.asked.env, "algo": self.asked.algo, "versions": versions()},
        )  # fmt: skip
        try:
            if parts:
                training.restore(parts)
            training.run()
        finally:
            recorder.close()
        self._conclude(training)
        return self.folder

    def mirrors(self) -> list[Mirror]:
        """TensorBoard, and wandb if it is on."""
        mirrors: list[Mirror] = [TensorBoard(self.folder.path)]
        if self.asked.wandb != "off":
            config = Path(self.asked.config).stem if self.asked.config else "default"
            name = f"{self.asked.env} {self.asked.algo} {config}"
            mirrors.append(
                WandB(
                    self.folder.path,
                    mode=self.asked.wandb,
                    group=name,
                    name=f"run_id={self.asked.run_id}",
                    config=describe(self.asked, self),
                )
            )
        return mirrors

    def _conclude(self, training: Training) -> None:
        if training.save_failed:
            raise OSError("the last checkpoint could not be written")
        final = training.last_row
        known = {
            key: final[key] for key in ("env_steps", "test_return", "test_return_se", "seconds")
        }
        exact = self.collector.exact
        self.folder.write(self.folder.read() | {"final": known, "resume_exact": exact})


def make_agent(recipe: Recipe, spec: Spec, seed: int, device: str) -> Agent:
    """The recipe's agent for worlds of this spec."""
    keeps = recipe.store_states > 0
    return recipe.agent(spec, seed=seed, device=device, critic_state=keeps)


def load(path: str | Path, best: bool = False) -> Policy:
    """The trained policy of a run's folder, on the CPU; its best instead of its newest, if asked.

    Raises RunMissingError, NoCheckpointError.
    """
    folder = RunFolder(path)
    description = folder.read()
    bindings.load([folder / "config.gin"])
    recipe = configured(Recipe)()
    policy = make_agent(recipe, Spec.from_dict(description["spec"]), 0, "cpu").policy
    checkpoints = Checkpoints(folder / "checkpoints")
    policy.load_state_dict(
        checkpoints.load_best() if best else checkpoints.load(only="policy")[0]["policy"]
    )
    return policy.eval()


def world_of(path: str | Path, render_mode: str | None = None) -> World:
    """The world that a run was trained on, the previous action among its keys if it was then."""
    folder = RunFolder(path)
    bindings.load([folder / "config.gin"])
    made: World = configured(make_world)(folder.read()["env"], render_mode=render_mode)
    return made


def refuse_changes(before: str, now: str) -> None:
    """Raises ConfigError if two operative configs differ in what a resumed run must keep."""

    def kept(text: str) -> dict[str, str]:
        found = {b.key: repr(b.value) for b in bindings.parse(text, "config") if b.argument}
        return {key: value for key, value in found.items() if not key.startswith(MAY_CHANGE)}

    old, new = kept(before), kept(now)
    changed = [key for key in sorted(old | new) if old.get(key) != new.get(key)]
    if changed:
        told = ", ".join(f"{k}: {old.get(k)} -> {new.get(k)}" for k in changed)
        raise ConfigError(f"a resumed run keeps its config, but this differs: {told}")


def describe(asked: Run, built: Built) -> dict[str, Any]:
    """What run.json says of a run at its start."""
    return {
        "command": " ".join(sys.argv),
        "env": asked.env,
        "algo": asked.algo,
        "run_id": asked.run_id,
        "config": asked.config,
        "bind": list(asked.bind),
        "seed": built.seed,
        "spec": built.spec.as_dict(),
        "evaluation_episodes": built.evaluator.episodes,
        "device": built.device,
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "git_commit": _commit(),
        "pid": os.getpid(),
    }


def versions() -> dict[str, str]:
    """Of Python and of what decides the numbers."""
    names = ("torch", "numpy", "gymnasium", "gin-config")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def _commit() -> str | None:
    """The checkout's commit, where there is one."""
    command = ["git", "-C", str(CONFIGS.parent), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except OSError:
        return None
    return found.stdout.strip() or None


def _device(name: str) -> str:
    """Auto made definite. Raises ConfigError for a device that is not there."""
    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name!r} is not to be had: {error}") from error
    return name
