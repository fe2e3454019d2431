"""Environments of gymnasium's own, seen without their velocities."""

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from offpcc import domains

# id: gymnasium's own, its velocities
NOVEL = {
    "cartpole-novel-v0": ("CartPole-v1", [1, 3]),
    "pendulum-novel-v0": ("Pendulum-v1", [2]),
    "mountaincar-novel-v0": ("MountainCarContinuous-v0", [1]),
}
every_id = pytest.mark.parametrize("id", NOVEL)


@every_id
def test_velocities_are_zero_and_all_else_is_gymnasiums(id):
    theirs, velocities = NOVEL[id]
    other, env = gymnasium.make(theirs), gymnasium.make(id)
    assert env.observation_space == other.observation_space
    assert env.action_space == other.action_space
    assert env.spec.max_episode_steps == other.spec.max_episode_steps
    expected, shown = other.reset(seed=3)[0], env.reset(seed=3)[0]
    other.action_space.seed(0)
    moved = np.zeros(len(velocities), bool)
    for _ in range(8):
        moved |= expected[velocities] != 0
        expected = expected.copy()  # some hand out their own state
        expected[velocities] = 0
        assert shown.tolist() == expected.tolist()
        action = other.action_space.sample()
        expected, *outcome = other.step(action)
        shown, *same = env.step(action)
        assert same == outcome
    assert moved.all()


@every_id
def test_there_is_one_time_limit_and_the_picture_is_gymnasiums(id):
    env = gymnasium.make(id, render_mode="rgb_array")
    assert str(env).count("TimeLimit") == 1
    env.reset(seed=0)
    assert env.render().ndim == 3
    env.close()


@every_id
def test_it_is_made_again_from_its_spec_and_as_several(id):
    env = gymnasium.make(id)
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert str(again) == str(env)
    assert np.array_equal(again.reset(seed=1)[0], env.reset(seed=1)[0])
    several = gymnasium.make_vec(id, 2)
    assert several.reset(seed=1)[0][0].tolist() == env.reset(seed=1)[0].tolist()
    several.close()


@every_id
def test_it_says_what_it_hides(id):
    assert gymnasium.make(id).get_wrapper_attr("hidden") == domains.HIDDEN[id]


def test_an_environment_of_others_is_made_harder_too():
    id = domains.harder("mountaincar-novel-repeat3-v0")
    env, other = gymnasium.make(id), gymnasium.make("MountainCarContinuous-v0")
    assert env.spec.max_episode_steps == 333
    for one in (env, other):
        one.reset(seed=0)
    rewards = [other.step([0.5])[1] for _ in range(3)]
    assert env.step([0.5])[1] == pytest.approx(sum(rewards))
    late = gymnasium.make("mountaincar-novel-noise0.01-delay2-v0")
    first = late.reset(seed=0)[0]
    assert [late.step([0.5])[0].tolist() == first.tolist() for _ in range(3)] == [True, True, False]
    assert np.array_equal(late.reset(seed=0)[0], first)
