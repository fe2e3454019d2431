import math

import gymnasium
import numpy as np
import pytest

from offpcc.domains.bernoulli_bandit import BernoulliBandit

N = 2000


def returns(act) -> np.ndarray:
    """The returns (N,) of `act(environments, seen)`."""
    envs = gymnasium.make_vec("bernoulli-bandit-v0", N)
    seen, _ = envs.reset(seed=0)
    total = np.zeros(N)
    for _ in range(100):
        seen, reward, terminated, truncated, _ = envs.step(act(envs, seen))
        assert not terminated.any()
        total += reward
    assert truncated.all()
    return total


def agree(total: np.ndarray, expected: float) -> None:
    """The mean is within four of its own deviations."""
    assert total.mean() == pytest.approx(expected, abs=4 * total.std() / math.sqrt(N))


def test_whoever_knows_the_arm_earns_92_and_a_half():
    total = returns(lambda envs, seen: envs.env.values[3].astype(int))
    agree(total, 92.5)  # 100 (0.95 · 1 - 0.05 · 0.5)
    # a step's variance is 1.5² · 0.95 · 0.05 = 0.106875: over 100, a deviation of 3.27
    assert total.std() == pytest.approx(3.27, rel=0.1)


def test_chance_loses_14():
    draw = np.random.default_rng(0)
    # wins are 0.95 / 4 = 0.2375: 100 (0.2375 · 1 - 0.7625 · 0.5)
    agree(returns(lambda envs, seen: draw.integers(4, size=N)), -14.375)


def test_one_arm_for_ever_earns_as_little_as_chance():
    agree(returns(lambda envs, seen: np.zeros(N, int)), -14.375)


def test_who_stays_with_what_has_won_earns_more_than_chance_by_far():
    winner = np.full(N, -1)

    def act(envs, seen):
        last = seen[:, 1:5].argmax(1)
        winner[seen[:, 0] == 1] = last[seen[:, 0] == 1]
        following = np.where(seen[:, 5] > 0, (last + 1) % 4, 0)
        return np.where(winner >= 0, winner, following)

    # A step with another arm earns 0.5 + 0.925 less than one with the arm that wins: 1.5 of them
    # on average before that is tried, and 3 more each time that it fails at first (0.05 / 0.95):
    # 92.5 - 1.425 (1.5 + 3 / 19)
    agree(returns(act), 90.1375)


def test_the_arms_are_drawn_anew_and_equally_likely():
    env = BernoulliBandit(copies=4000)
    for copy in range(4000):
        env.renew(copy, seed=copy)
    counts = np.bincount(env.values[3].astype(int), minlength=4)
    assert counts == pytest.approx(np.full(4, 1000), abs=4 * math.sqrt(4000 * 0.25 * 0.75))
    single = BernoulliBandit()
    single.reset(seed=0)
    assert len({single.reset() and single.values[3, 0] for _ in range(50)}) == 4


def test_an_observation_is_the_last_reward_the_last_arm_and_the_step():
    env = BernoulliBandit()
    assert env.reset(seed=0)[0].tolist() == [0, 0, 0, 0, 0, 0]
    env.values[3] = 2  # the arm that wins
    observation, reward, *_ = env.step(1)
    assert (reward, observation.tolist()) == (-0.5, [-0.5, 0, 1, 0, 0, 1])
    observation, reward, *_ = env.step(3)
    assert (reward, observation.tolist()) == (-0.5, [-0.5, 0, 0, 0, 1, 2])
    rewards = set()
    for count in range(3, 103):
        observation, reward, *_ = env.step(2)
        assert observation.tolist() == [reward, 0, 0, 1, 0, min(count, 100)]
        rewards.add(reward)
    assert rewards == {1.0, -0.5}


@pytest.mark.parametrize("action", [4, -1, 0.5, [0]])
def test_what_is_no_arm_is_refused(action):
    env = BernoulliBandit()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="a whole number below 4"):
        env.step(action)
