"""Environments in turn or in one step: the same episodes."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box

from offpcc.algorithms import SAC
from offpcc.config.bindings import compose
from offpcc.config.catalog import algorithm_file
from offpcc.envs.make_env import make_env
from offpcc.envs.native_vector_env import NativeVectorEnv, vectorised
from offpcc.envs.vector import SequentialEnvs, VectorEnvAdapter
from offpcc.runs.build import build
from offpcc.runs.env_copies import build_copies
from offpcc.training.collector import Collector

ID = "cartpole-continuous-p-v0"
PAST = {"previous_action": True, "previous_reward": True}


def singles(count: int = 3) -> SequentialEnvs:
    return SequentialEnvs(make_env(ID, **PAST) for _ in range(count))


def together(count: int = 3) -> NativeVectorEnv:
    return NativeVectorEnv(gymnasium.make_vec(ID, count), **PAST)


def collector(copies: VectorEnvAdapter) -> Collector:
    agent = SAC(copies.spec_of_agent, hidden_sizes=(8,))
    return Collector(agent, copies, seed=3)


def episodes(collector: Collector, steps: int = 60) -> list:
    return [episode for _ in range(steps) for episode in collector.step(uniform=True)]


def assert_same(ones: list, others: list) -> None:
    assert len(ones) == len(others) > 3
    for one, other in zip(ones, others, strict=True):
        for key, values in one.observation.items():
            assert np.array_equal(values, other.observation[key])
        assert np.array_equal(one.action, other.action)
        assert np.array_equal(one.reward, other.reward)
        assert one.terminated == other.terminated


def test_in_turn_or_together_episodes_are_the_same() -> None:
    assert_same(episodes(collector(singles())), episodes(collector(together())))


@pytest.mark.parametrize("copies", [singles, together])
def test_open_episodes_are_played_again_side_by_side(copies) -> None:
    first, restored = collector(copies()), collector(copies())
    episodes(first, 33)
    assert (
        len({len(trajectory.action) for trajectory in first.trajectories}) > 1
    )  # they end together all the same
    restored.load_state_dict(first.state_dict())
    assert restored.exact
    assert_same(episodes(first), episodes(restored))


@pytest.mark.parametrize("copies", [singles, together])
def test_a_copy_that_has_ended_rests_until_it_is_reset(copies) -> None:
    made = copies(2)
    made.reset({0: 1, 1: 2})
    push = np.array([[1.0], [0.0]], np.float32)
    last = [made.step(push) for _ in range(30)]
    fallen, other = last[-1]
    assert fallen.terminated and not other.terminated
    assert np.array_equal(fallen.seen["observation"], last[-2][0].seen["observation"])
    (seen,) = made.reset({0: 1})
    assert seen["previous_reward"] == 0
    assert not made.step(push)[0].terminated


def test_a_run_of_several_copies_steps_them_together_where_it_can() -> None:
    training = build(compose([algorithm_file("sac")], ["num_envs = 4"]), ID, seed=1)
    assert isinstance(training.collector.envs, NativeVectorEnv)
    assert len(training.collector.step()) == 0 and training.collector.steps == 4
    assert isinstance(build_copies(ID, 1), SequentialEnvs)
    assert isinstance(build_copies("Pendulum-v1", 4), SequentialEnvs)  # has no vector environment


def test_copies_get_the_arguments_of_the_single_environment_and_its_wrappers() -> None:
    single = make_env(ID, env_kwargs={"window": 3})
    together = vectorised(ID, 2, single)
    assert together is not None
    assert together.single_observation_space == single.unwrapped.observation_space
    assert together.single_observation_space != make_env(ID).unwrapped.observation_space
    wrapped = make_env(ID, wrappers=["gymnasium.wrappers:FlattenObservation"])
    assert vectorised(ID, 2, wrapped) is None  # there is no vector environment with wrappers


def test_a_vector_environment_that_resets_by_itself_is_not_used() -> None:
    assert vectorised("CartPole-v1", 2, make_env("CartPole-v1")) is None
    assert vectorised(ID, 2, make_env(ID)) is not None


def test_the_terms_of_a_reward_are_each_copys_own() -> None:
    class Paid(gymnasium.Env):
        observation_space, action_space = Box(-1, 1, (1,)), Box(-1, 1, (1,))

        def reset(self, *, seed=None, options=None):
            return np.zeros(1, np.float32), {}

        def step(self, action):
            paid = {"rewards": {"right": float(action[0]), "time": -1.0}}
            return np.zeros(1, np.float32), 0.0, False, False, paid

    vector = gymnasium.vector.SyncVectorEnv([Paid, Paid])
    copies = NativeVectorEnv(vector)
    copies.reset({0: 1, 1: 2})
    outcomes = copies.step(np.float32([[0.25], [0.5]]))
    assert [o.reward_terms for o in outcomes] == [
        {"right": 0.25, "time": -1.0},
        {"right": 0.5, "time": -1.0},
    ]
