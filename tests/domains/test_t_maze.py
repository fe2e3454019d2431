import math

import gymnasium
import numpy as np
import pytest

from offpcc.domains.t_maze import DiscreteTMaze, TMaze

LENGTHS = {
    "t-maze10-v0": 10,
    "t-maze50-v0": 50,
    "t-maze100-v0": 100,
    "t-maze10-discrete-v0": 10,
    "t-maze50-discrete-v0": 50,
}
every_id = pytest.mark.parametrize("id", LENGTHS)


def turning(env, right: bool) -> object:
    """The action of an environment that turns right or left."""
    return (
        int(right) if isinstance(env.action_space, gymnasium.spaces.Discrete) else [2 * right - 1]
    )


@every_id
def test_an_episode_shows_the_cue_once_and_ends_behind_the_junction(id):
    env, length = gymnasium.make(id), LENGTHS[id]
    cues = set()
    for seed in range(12):
        seen, _ = env.reset(seed=seed)
        cue = float(seen[0])
        cues.add(cue)
        assert seen.tolist() == [cue, 0, 0]
        for step in range(1, length + 1):
            seen, reward, terminated, truncated, info = env.step(turning(env, cue < 0))
            assert seen.tolist() == [0, np.float32(step / length), step == length]
            assert (reward, terminated, truncated) == (0.0, False, False)
            assert info == {"success": False}
        right = seed % 2 == 0
        seen, reward, terminated, _, info = env.step(turning(env, right))
        assert seen.tolist() == [0, 1, 1]
        assert terminated
        assert reward == (1.0 if right == (cue > 0) else -1.0)
        assert info == {"success": reward > 0}
    assert cues == {-1.0, 1.0}


def outcomes(id, n, act):
    """Returns (n,) of `act(cue, environments)`, and how often it succeeded."""
    envs = gymnasium.make_vec(id, n)
    seen, _ = envs.reset(seed=0)
    cue, total = seen[:, 0], np.zeros(n)
    for _ in range(LENGTHS[id] + 1):
        _, reward, terminated, _, info = envs.step(act(cue, envs))
        total += reward
    assert terminated.all()
    return total, info["success"]


@every_id
def test_who_remembers_the_cue_always_wins(id):
    def follow(cue, envs):
        if "discrete" in id:
            return (cue > 0).astype(int)
        return cue[:, None]

    total, success = outcomes(id, 50, follow)
    assert (total == 1.0).all() and success.all()


@every_id
def test_chance_earns_nothing_on_average(id):
    total, success = outcomes(id, 1000, lambda cue, envs: envs.action_space.sample())
    assert set(total) == {-1.0, 1.0}
    assert abs(total.mean()) < 4 / math.sqrt(1000)
    assert ((total > 0) == success).all()


def test_the_cue_is_a_fair_coin():
    env = TMaze(copies=4000)
    for copy in range(4000):
        env.renew(copy, seed=copy)
    assert abs(env.values[1].mean()) < 4 / math.sqrt(4000)


def test_what_was_done_in_the_corridor_does_not_matter():
    env = TMaze(length=3)
    env.reset(seed=0)
    env.values[1] = -1.0  # left is right
    outcomes = [env.step([action])[1:3] for action in (1.0, 1.0, 0.3, -0.01)]
    assert outcomes == [(0.0, False)] * 3 + [(1.0, True)]


def test_an_action_of_zero_turns_left():
    for cue, reward in ((-1.0, 1.0), (1.0, -1.0)):
        env = TMaze(length=3)
        env.reset(seed=0)
        env.values[:2, 0] = 3.0, cue
        assert env.step([0.0])[1] == reward


def test_the_class_takes_any_length_from_1():
    env = DiscreteTMaze(length=1)
    cue = env.reset(seed=0)[0][0]
    assert env.step(0)[:3] == (pytest.approx([cue, 1, 1]), 0.0, False)
    assert env.step(int(cue > 0))[1:3] == (1.0, True)
    with pytest.raises(ValueError, match="at least 1 step, not 0"):
        TMaze(length=0)


def test_a_state_beyond_the_corridor_is_observed_at_its_end():
    env = TMaze(length=4)
    env.reset(seed=0)
    for position in (-3.0, 2.0, 400.0):
        env.state = [position]
        assert env.step([0.5])[0] in env.observation_space
