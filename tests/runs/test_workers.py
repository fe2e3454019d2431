"""Workers of a run: made by its config, here in this process."""

import pickle
from typing import Any

import gymnasium
import pytest
from children import tiny
from toys import Walk

from offpcc.config.bindings import compose
from offpcc.config.catalog import algorithm_file
from offpcc.distributed.collector import DistributedCollector
from offpcc.envs.native_vector_env import NativeVectorEnv
from offpcc.errors import ConfigError, EnvironmentFault
from offpcc.replay import Rollout
from offpcc.runs.build import Parts, build

WORKERS = "TrainingConfig.num_workers = 3\nnum_envs = 2\nTrainingConfig.collect_steps = 11\n"


def parts_of(folder: Any, algo: str = "rsac", more: str = "", env: str = "pendulum-p-v0") -> Parts:
    return build(compose([algorithm_file(algo), tiny(folder, WORKERS + more)]), env, 5)


def pool_of(parts: Parts) -> list[Any]:
    assert isinstance(parts.collector, DistributedCollector)
    return parts.collector.pool.workers  # type: ignore[attr-defined]


def test_copies_are_numbered_over_all_workers(tmp_path) -> None:
    parts = parts_of(tmp_path)
    indices = [t.env_index for w in pool_of(parts) for t in w.collector.trajectories]
    assert indices == [0, 1, 2, 3, 4, 5]
    assert all(isinstance(worker.collector.envs, NativeVectorEnv) for worker in pool_of(parts))
    parts.collector.step(uniform=True)
    assert parts.collector.steps == 3 * 2 * 11


def test_a_rollout_is_one_of_all_copies_of_all_workers(tmp_path) -> None:
    parts = parts_of(tmp_path, "lstm_ppo", "rollout_steps = 23\n")
    assert isinstance(parts.replay, Rollout) and parts.replay.num_envs == 6
    for episode in parts.collector.step():
        parts.replay.add(episode)
    (batch,) = parts.replay.batches(parts.collector.steps)
    assert int(batch.mask.sum()) == parts.collector.steps == 6 * 23


def test_without_workers_the_copies_are_here(tmp_path) -> None:
    config = compose([algorithm_file("lstm_ppo"), tiny(tmp_path, "num_envs = 2\n")])
    parts = build(config, "pendulum-p-v0", 5)
    assert parts.replay.num_envs == 2  # type: ignore[attr-defined]
    assert (parts.collector.waited, parts.collector.lost_workers) == (None, 0)


def test_workers_keep_states_where_they_are_learned_from(tmp_path) -> None:
    for more, width in (("", 0), ("recurrent_sequence_length = 5\nstore_states = 4\n", 32)):
        parts = parts_of(tmp_path, more=more + "max_episode_steps = 9\n")
        assert {episode.state.shape[1] for episode in parts.collector.step()} == {width}


class Frail(Walk):
    """The copies that are made later than the fourth fail."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        Frail.made += 1
        self.number = Frail.made

    def step(self, action: Any) -> Any:
        if self.number > 5:
            raise RuntimeError("a cable came loose")
        return super().step(action)


@pytest.fixture
def walk() -> Any:
    """An id that only this process knows."""
    gymnasium.register("worker-walk-v0", entry_point=lambda: Frail())
    yield "worker-walk-v0"
    del gymnasium.registry["worker-walk-v0"]


def test_a_fault_names_the_copy_by_its_number_in_the_run(tmp_path, walk) -> None:
    Frail.made = 0
    parts = parts_of(tmp_path, env=walk, more="eval_episodes = 0\n")
    with pytest.raises(EnvironmentFault, match=r"a cable came loose'\) in step; copy 4, episode 0"):
        parts.collector.step()


def test_what_makes_a_worker_can_be_sent_with_an_id_that_no_module_registers(
    tmp_path, walk
) -> None:
    make = pickle.loads(pickle.dumps(parts_of(tmp_path, env=walk).collector.pool.make))  # type: ignore[attr-defined]
    known = gymnasium.registry.pop(walk)
    try:
        worker = make(2, 0)
    finally:
        gymnasium.registry[walk] = known
    assert worker.collector.first == 4


def test_an_environment_that_is_another_one_in_the_worker_is_refused(tmp_path) -> None:
    make = parts_of(tmp_path).collector.pool.make  # type: ignore[attr-defined]
    other = type(make)(**(vars(make) | {"env": "pendulum-v0"}))
    with pytest.raises(ConfigError, match="spaces in a worker are not those that it has here"):
        other(0, 0)


def test_workers_act_in_float32_on_the_cpu_whatever_the_learner_learns_in(tmp_path) -> None:
    parts = parts_of(tmp_path, more="precision = 'bf16'\nlearning_starts = 0\n")
    assert parts.agent.precision == "bf16"
    for episode in parts.collector.step():
        parts.replay.add(episode)
    parts.collector.step()
    for worker in pool_of(parts):
        weights = list(worker.collector.agent.policy.parameters())
        assert {(w.device.type, str(w.dtype)) for w in weights} == {("cpu", "torch.float32")}
        assert str(worker.collector.state.dtype) == "torch.float32"
