"""Build: makes a run's parts from its config: agent, replay, experience source, evaluator."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import torch

from offpcc.algorithms import ActorCritic, Agent, Learner, OffPolicy
from offpcc.algorithms.core.precision import resolve_precision
from offpcc.baselines import Baseline
from offpcc.baselines.size import network_bytes, step_bytes
from offpcc.config import bindings
from offpcc.config.bindings import configured
from offpcc.config.config import Config
from offpcc.data import AgentSpec, Episode
from offpcc.distributed.pool import LocalPool
from offpcc.envs.registration import registration_of
from offpcc.envs.vector import SequentialEnvs, VectorEnvAdapter
from offpcc.errors import ConfigError
from offpcc.processes.allocator import keep_freed_memory
from offpcc.processes.ram_limit import (
    free_bytes,
    refuse_large_agent,
    refuse_too_large,
)
from offpcc.replay import EpisodeReplay, Replay
from offpcc.replay.batch import Batch
from offpcc.runs.env_copies import build_async_copies, build_copies
from offpcc.runs.training_config import TrainingConfig
from offpcc.runs.workers import MakePool, MakeRunWorker, distributed_collector
from offpcc.training.collector import Collector
from offpcc.training.dataset import Dataset
from offpcc.training.dataset_io import read_transitions
from offpcc.training.evaluator import Evaluator
from offpcc.training.experience_source import ExperienceSource

MOST_EVALUATED = 10  # environments side by side in an evaluation
SMALL = 1_000  # steps of a replay that is made to see what a step, or an update, takes
LONG = 64  # steps of an episode that stands for whole ones in that


class Arguments(NamedTuple):
    """What a training is to be made of."""

    config: Config
    recipe: TrainingConfig
    env_id: str
    seed: int
    initialize: Callable[[Learner], None] | None
    make_pool: MakePool


class Parts(NamedTuple):
    """What a training is made of, apart from where it writes; the order is `Training`'s."""

    agent: Learner
    replay: Replay
    collector: ExperienceSource
    evaluator: Evaluator


def build(
    config: Config,
    env_id: str,
    seed: int,
    initialize: Callable[[Learner], None] | None = None,
    make_pool: MakePool = LocalPool,
) -> Parts:
    """The parts of the training that a config asks for.

    initialize: called with the new agent, before an acting copy is made of it. make_pool: what
    makes the workers, if there are any.

    Raises ValueError for settings and environments that cannot work; nothing is written.
    """
    bindings.give(config)
    recipe: TrainingConfig = configured(TrainingConfig)()
    keep_freed_memory()
    with suppress(ImportError):  # on a CPU torch has none
        import_module("triton")  # before a simulator: it crashes if it is loaded after MuJoCo
    # Always said: where precision is tried, it is said too, and a resumed run should not differ.
    torch.set_num_threads(recipe.num_threads or torch.get_num_threads())
    arguments = Arguments(config, recipe, env_id, seed, initialize, make_pool)
    envs = _copies(arguments, 1 if recipe.num_workers else recipe.num_envs)
    try:
        return _parts(arguments, envs)
    except BaseException:
        envs.close()
        raise


def _parts(arguments: Arguments, envs: VectorEnvAdapter) -> Parts:
    """The parts of a training in these environments."""
    config, recipe, seed = arguments.config, arguments.recipe, arguments.seed
    device = definite(recipe.device)
    _refuse_large_networks(config, recipe, envs.spec_of_agent, device)
    agent = recipe.make_agent(envs.spec_of_agent, seed, device)
    agent.prepare(read_transitions)
    if arguments.initialize is not None:
        arguments.initialize(agent)
    evaluated = min(config.values["Evaluator.episodes"], MOST_EVALUATED)
    replay, source = _experience(arguments, agent, envs)
    try:
        evaluation = _copies(arguments, evaluated) if evaluated else SequentialEnvs([])
        return Parts(agent, replay, source, configured(Evaluator)(evaluation, seed=seed))
    except BaseException:
        source.close()
        raise


def _copies(arguments: Arguments, count: int) -> VectorEnvAdapter:
    """So many copies, in processes of their own if the recipe says so."""
    if not arguments.recipe.async_envs:
        return build_copies(arguments.env_id, count)
    begin, values = "make_env.", arguments.config.values
    settings = {k.removeprefix(begin): v for k, v in values.items() if k.startswith(begin)}
    return build_async_copies(arguments.env_id, count, settings)


def settle_precision(
    config: Config, parts: Parts, before: Config | None = None
) -> tuple[Config, str]:
    """Makes the precision of an agent definite; gives its config, and what to say of it.

    before: the config that a resumed run has had. Raises ValueError for bf16 that the device does
    not have.
    """
    agent, replay = parts.agent, parts.replay
    if agent.precision == "fp32":
        return config, ""
    assert isinstance(agent, OffPolicy) and isinstance(replay, EpisodeReplay)
    key = next(k for k in config.values if k.endswith(f"{type(agent).__name__}.precision"))
    had = before.values.get(key) if before else None
    why = resolve_precision(agent, likely_batch(agent, replay), had)
    return config.with_value(key, agent.precision), f", in {why}"


def likely_batch(agent: OffPolicy, replay: EpisodeReplay) -> Batch:
    """A batch as this replay will give them, of made-up observations."""
    most = 3 * (replay.burn_in + (replay.sequence_length or 0))  # so that most windows are whole
    length = min(max(LONG, most), SMALL)
    random = np.random.default_rng(0)
    episode = Episode(
        observation={
            key: random.integers(field.dtype == "bool", 2, (length + 1, *field.shape)).astype(
                field.dtype
            )  # a mask allows all
            for key, field in agent.spec.observation.items()
        },
        action=np.zeros((length, agent.spec.action), np.float32),
        reward=np.zeros(length, np.float32),
        terminated=False,
        state=np.zeros((length, agent.state_size), np.float32),
    )
    small = replace(replay, buffer_size=SMALL, episode_filter=None)
    small.add(episode)
    return small.sample()


def _refuse_large_networks(
    config: Config, recipe: TrainingConfig, spec: AgentSpec, device: str
) -> None:
    """Raises ConfigError where the agent would not fit into memory; allocates none of it."""
    kind = recipe.agent if isinstance(recipe.agent, type) else type(None)
    on_gpu = torch.device(device).type == "cuda"
    free = torch.cuda.mem_get_info(device)[0] if on_gpu else free_bytes()
    if issubclass(kind, Baseline):
        _refuse_large_baseline(config, kind.__name__, spec, free)
    elif issubclass(kind, ActorCritic):
        refuse_large_agent(_agent_bytes(recipe, spec), free)


def _agent_bytes(recipe: TrainingConfig, spec: AgentSpec) -> int:
    """What an agent and its states in all copies take; 0 where networks of one's own forbid it."""
    try:
        with torch.device("meta"):
            agent = recipe.make_agent(spec, 0, "meta")
    except RuntimeError:  # from torch, where a meta tensor is asked for its numbers
        return 0
    assert isinstance(agent, ActorCritic)
    return agent.nbytes + 4 * recipe.num_envs * agent.state_size


def _refuse_large_baseline(config: Config, name: str, spec: AgentSpec, free: int) -> None:
    """The same for a baseline, by what its networks and its replay buffer take at least."""
    keys = (key for key in config.values if key.startswith(f"{name}."))
    settings = {key.rpartition(".")[2]: config.values[key] for key in keys}
    refuse_large_agent(network_bytes(settings, spec), free)
    if "buffer_size" in settings:
        refuse_too_large(settings["buffer_size"], step_bytes(spec), f"{name}.buffer_size")


def _experience(
    arguments: Arguments, agent: Learner, envs: VectorEnvAdapter
) -> tuple[Replay, ExperienceSource]:
    """What is learned from, and where it comes from.

    Raises ConfigError for a learner that cannot act, and for settings that do not go together.
    """
    if isinstance(agent, Baseline):
        if arguments.recipe.dataset is not None:
            raise ConfigError("baselines learn from what they play; give no dataset")
        # Stable-Baselines3 may not be installed, and takes seconds to import.
        from offpcc.baselines.sb3_experience import experience_of

        return experience_of(agent, envs, arguments.seed)
    if not isinstance(agent, Agent):
        raise ConfigError(f"{type(agent).__name__} learns but does not act; it is no Agent")
    replay = _replay(arguments.config, arguments.recipe, agent, arguments.seed)
    return replay, _source(arguments, agent, replay, envs)


def _source(
    arguments: Arguments, agent: Agent, replay: Replay, envs: VectorEnvAdapter
) -> ExperienceSource:
    """A collector, here or of workers, or the data set where there is one.

    Raises ConfigError for one that a replay does not take.
    """
    recipe = arguments.recipe
    if recipe.dataset is not None:
        return _dataset(recipe, replay, envs)
    keep_states = bool(recipe.store_states) or not isinstance(replay, EpisodeReplay)
    if recipe.num_workers:
        make = MakeRunWorker(
            arguments.config.text(), arguments.env_id, registration_of(arguments.env_id),
            envs.spec_of_agent, arguments.seed, keep_states,
        )  # fmt: skip
        pool = arguments.make_pool(make, recipe.num_workers)
        return distributed_collector(arguments.config, recipe, agent, pool, envs)
    collect: Collector = configured(Collector)(
        agent, envs, seed=arguments.seed, keep_states=keep_states
    )
    return collect


def _dataset(recipe: TrainingConfig, replay: Replay, envs: VectorEnvAdapter) -> Dataset:
    """The data set, once it fits the replay."""
    assert recipe.dataset is not None
    if not isinstance(replay, EpisodeReplay) or recipe.store_states:
        raise ConfigError("a data set has no likelihoods or stored states; learn without them")
    dataset = Dataset(envs, recipe.dataset)
    if (steps := sum(map(len, dataset.episodes))) > replay.buffer_size:
        raise ConfigError(
            f"the data set has {steps} steps; raise buffer_size, {replay.buffer_size}"
        )
    return dataset


def _replay(config: Config, recipe: TrainingConfig, agent: Agent, seed: int) -> Replay:
    """Raises ConfigError where it would not fit into memory."""
    if recipe.replay is None:
        raise ConfigError("TrainingConfig.replay is None; only baselines bring their own")
    given: dict[str, Any] = {"seed": seed}
    if recipe.store_states:
        given["store_states"] = recipe.store_states
    if recipe.num_workers and "Rollout.num_envs" in config.values:
        given["num_envs"] = recipe.num_workers * recipe.num_envs
    size = config.values.get("EpisodeReplay.buffer_size")
    if size is not None and size > SMALL:
        small = recipe.replay(agent.spec, agent.state_size, buffer_size=SMALL, **given)
        refuse_too_large(size, small.nbytes / SMALL)
    return recipe.replay(agent.spec, agent.state_size, **given)


def definite(device: str) -> str:
    """Auto made definite. Raises ConfigError for a device that is not there."""
    if device == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {device!r} is not available: {error}") from error
    return device
