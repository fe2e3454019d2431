import numpy as np
import pytest

from offpcc.domains.ant_reacher_top import AntReacherTop

HEAVEN = 2  # row of `values`


def ant(heaven: float) -> AntReacherTop:
    """An ant at the beginning, with heaven where a test wants it."""
    env = AntReacherTop()
    env.reset(seed=0)
    env.values[HEAVEN] = heaven
    return env


def at(x: float, y: float) -> list[float]:
    """The action to be there."""
    return [x / 8, y / 8]


def by_memory(seen, result):
    """Goes to the priest, then to where he says."""
    heaven = np.stack((6.25 * result, np.full(len(result), 6.75)), 1)
    return np.where(result[:, None] == 0, (5.25, -5.75), heaven) / 8


def blindly_right(seen, result):
    return np.tile(at(6.25, 6.75), (len(seen), 1))


def test_the_ant_is_at_once_where_the_action_says():
    env = ant(1.0)
    observation, reward, terminated, truncated, info = env.step([0.25, -0.5])
    assert observation.tolist() == [2.0, -4.0, 0.0, 0.0]
    assert (reward, terminated, truncated, info) == (0.0, False, False, {"success": False})
    assert env.state.tolist() == [2.0, -4.0]


@pytest.mark.parametrize("heaven", [-1.0, 1.0])
@pytest.mark.parametrize(
    ("dx", "dy", "heard"),
    [
        (1.89, 0, True),
        (0, -1.89, True),
        (-1.1, 1.5, True),  # 1.1² + 1.5² = 3.46 < 1.9² = 3.61
        (-1.2, 1.5, False),  # 3.69
        (-1.91, 0, False),
    ],
)
def test_the_priest_tells_of_heaven_within_1_9_m(heaven, dx, dy, heard):
    observation = ant(heaven).step(at(5.25 + dx, -5.75 + dy))[0]
    assert observation[2:].tolist() == ([6.25 * heaven, 6.75] if heard else [0.0, 0.0])


@pytest.mark.parametrize("heaven", [-1.0, 1.0])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_heaven_pays_1_and_hell_minus_1_within_1_9_m(heaven, side):
    env = ant(heaven)
    assert env.step(at(side * 6.25, 6.75 - 1.91))[1:3] == (0.0, False)
    won = side == heaven
    ended = (1.0 if won else -1.0, True, False, {"success": won})
    assert env.step(at(side * (6.25 - 1.1), 6.75 - 1.5))[1:] == ended


def test_episodes_begin_in_the_middle_with_heaven_on_either_side_and_hidden():
    env = AntReacherTop()
    assert not any(env.reset(seed=seed)[0].any() for seed in range(20))
    random = np.random.default_rng(0)
    sides = np.array([env.begin(random)[HEAVEN] for _ in range(2000)])
    assert set(sides) == {-1.0, 1.0}
    assert abs(sides.mean()) < 4 / np.sqrt(2000)


def test_memory_always_finds_heaven_and_blindly_right_half_the_time(pilgrims):
    total, saved = pilgrims("ant-reacher-top-v0", by_memory, 2)
    assert total.mean() == saved.mean() == 1.0
    total, saved = pilgrims("ant-reacher-top-v0", blindly_right, 2)
    assert saved.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(1000))
    assert total.mean() == pytest.approx(2 * saved.mean() - 1)


def test_random_play_is_fair(pilgrims):
    draw = np.random.default_rng(0)
    total, saved = pilgrims(
        "ant-reacher-top-v0", lambda seen, result: draw.uniform(-1, 1, (len(seen), 2)), 2
    )
    assert total.mean() == pytest.approx(0.0, abs=4 / np.sqrt(1000))
    # Heaven takes up π 1.9² = 11.34 of 256 m², less what lies outside: 1.29 above and 0.15 beside.
    # With hell alike, 0.0774 of the steps end an episode: 1 - 0.9226^20 = 0.800 of the episodes.
    assert saved.mean() == pytest.approx(0.40, abs=4 * 0.5 / np.sqrt(1000))
