"""Experiment: a run with its parts, from its first step to its final scores."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

from offpcc.config.bindings import configured
from offpcc.config.config import Config
from offpcc.envs.vector import side_by_side
from offpcc.errors import CallbackError, DivergedError, Stopped, StorageError
from offpcc.processes.interrupt import Interrupt
from offpcc.runs.build import build, settle_precision
from offpcc.runs.provenance import continued, describe, diagnosis, differences, versions
from offpcc.runs.run_spec import RunSpec
from offpcc.runs.warm_start import WarmStart
from offpcc.runs.workers import ray_pool
from offpcc.storage.atomic_io import strict_json
from offpcc.storage.checkpoint import Checkpoints
from offpcc.training.callbacks import Callback
from offpcc.training.loop import Training, columns
from offpcc.training.tracking import Mirror, Recorder, TensorBoard, WandB, account
from offpcc.training.tracking.progress import Progress

SCORES = ("env_steps", "test_return", "test_return_se", "test_length", "test_success", "seconds")


class Experiment:
    """A run with its parts; nothing is written before it starts or resumes."""

    def __init__(
        self,
        request: RunSpec,
        config: Config,
        seed: int,
        *,
        before: Config | None = None,
        warm_start: WarmStart | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.request, self.seed, self.callbacks = request, seed, callbacks
        self.folder, self.warm_start = request.folder, warm_start
        initialize = warm_start.apply if warm_start else None
        make_pool = partial(ray_pool, request.ray)
        self.parts = build(config, request.env, seed, initialize, make_pool)
        self.config, self.precision = settle_precision(config, self.parts, before)
        self.spec = self.parts.agent.spec.as_dict()
        self.checkpoints = Checkpoints(
            self.folder / "checkpoints", config.values["TrainingConfig.num_checkpoints"]
        )

    def start(self, interrupt: Interrupt) -> None:
        """Trains from the first step. The run is there once its first checkpoint is."""
        device = self.parts.agent.policy.device
        print(f"{self.folder.path}: seed {self.seed}, on {device}{self.precision}", flush=True)
        if self.warm_start:
            print(*self.warm_start.lines(), sep="\n", flush=True)
        training = self._training(interrupt, 0)
        self.folder.replace("config.gin", self.config.text())
        training.save()
        self._refuse_unsaved(training)
        self._train(training, self._describe())

    def resume(self, interrupt: Interrupt, before: dict[str, Any]) -> None:
        """Trains on from the newest valid checkpoint."""
        saved, manifest = self.checkpoints.load(self.parts.replay)
        step = manifest["step"]
        training = self._training(interrupt, step)
        training.restore(saved)
        self.checkpoints.forget_after(step)
        print(f"{self.folder.path}: goes on at step {step}{self.precision}", flush=True)
        exact, now = self.parts.collector.exact, self._describe()
        for line in differences(before, now):
            print(f"not as before, so numbers may differ in their last digits: {line}")
        if not exact:
            print("an episode in progress was dropped, now or before: the run is not exact")
        self.folder.replace("config.gin", self.config.text())
        self._train(training, continued(before, now, {"step": step, "exact": exact}))

    def _train(self, training: Training, description: dict[str, Any]) -> None:
        """To the end; the description has the final scores then, before environments are closed."""
        self.folder.write(description)
        try:
            training.run()
            self._refuse_unsaved(training)
            final = {key: training.last_row[key] for key in SCORES if key in training.last_row}
            description |= {"final": final, "resume_exact": training.collector.exact}
            if training.collector.lost_workers:
                description["lost_workers"] = training.collector.lost_workers
            if training.stop_reason:
                print(f"{self.folder.path}: stopped: {training.stop_reason}", flush=True)
                description["stopped"] = training.stop_reason
            self.folder.write(description)
        except DivergedError as error:
            self.folder.replace("diverged.json", strict_json(diagnosis(training, error)))
            raise
        except (Stopped, CallbackError):
            self._refuse_unsaved(training)
            raise
        finally:
            training.recorder.close()
            training.collector.close()
            side_by_side(training.evaluator.envs).close()

    def _refuse_unsaved(self, training: Training) -> None:
        if training.save_failed:
            raise StorageError(f"the last checkpoint of {self.folder.path} could not be written")

    def _training(self, interrupt: Interrupt, start: int) -> Training:
        """The training, with what it writes to and what may stop it; start: its first step."""
        if self.parts.collector.description:
            print(self.parts.collector.description, flush=True)
        values = self.config.values
        progress = Progress(values["Training.steps"], start, values["Training.learning_starts"])
        names = columns(self.parts.agent, self.parts.collector)
        training: Training = configured(Training)(
            *self.parts,
            Recorder(self.folder.path, names, [progress, *self._mirrors()]),
            checkpoints=self.checkpoints,
            interrupt=interrupt,
            advance=progress.advance,
            callbacks=self.callbacks,
            facts=self._facts(),
        )
        return training

    def _facts(self) -> dict[str, Any]:
        """What the manifest of a checkpoint says of its run."""
        return {
            "env": self.request.env,
            "algo": self.request.algo,
            "spec": self.spec,
            "config": hashlib.sha256(self.config.text().encode()).hexdigest(),
            "versions": versions(self.parts.agent.packages),
        }

    def _mirrors(self) -> list[Mirror]:
        """TensorBoard where it is installed, and wandb where it is asked for."""
        mirrors: list[Mirror] = []
        try:
            mirrors.append(TensorBoard(self.folder.path))
        except ImportError as error:  # nobody asked for it, so nobody has to install it
            print(f"no curves in TensorBoard: {error}")
        if self.request.wandb != "off":
            # A resume, perhaps by another command, leaves the run in its group.
            begun = self.folder.read() if self.folder.exists else {}
            facts = {key: begun.get(key, value) for key, value in self._describe().items()}
            mirrors.append(
                WandB(
                    self.folder.path,
                    mode=str(self.request.wandb),
                    group=facts["group"],
                    name=f"run_id={self.request.run_id}",
                    config=facts | self.config.plain_values,
                    **account(),
                )
            )
        return mirrors

    def _describe(self) -> dict[str, Any]:
        begun = {"init_from": self.warm_start.as_dict()} if self.warm_start else {}
        episodes = self.config.values["Evaluator.episodes"]
        return describe(self.request, self.seed, self.parts.agent, episodes) | begun
