"""What counts in the tasks with bumps, how chance fares in them, and one who knows."""

import gymnasium
import numpy as np
import pytest

from offpcc.domains.extras import missing

pytest.importorskip("pybullet", reason=missing("pybullet", "bullet"))

from offpcc.domains.bullet.bump_tasks import PushLarger, PushRight, PushToTarget
from offpcc.domains.bullet.layouts import Layout

SOFT, HARD = -1.0, 1.0
TEST = "pbc-bumps-normal-test-v0"


def begun(env, finger, *bumps):
    """The environment with finger and bumps at these places."""
    env.reset(seed=0)
    env.furnish(Layout(finger, bumps))
    return env


def pushed(env, *actions):
    """Rewards, the last end and the last success; there is no end before the last action."""
    outcomes = [env.step(action)[1:] for action in actions]
    assert not any(terminated for _, terminated, _, _ in outcomes[:-1])
    rewards = [reward for reward, *_ in outcomes]
    return rewards, outcomes[-1][1], outcomes[-1][3]["success"]


@pytest.fixture(scope="module", params=[False, True], ids=["", "punish"])
def pair(request):
    env = PushRight(punish=request.param)
    yield env
    env.close()


def test_the_right_bump_pushed_to_the_right_is_a_success(pair):
    # They meet after 57.5 mm; after two actions the bump is some 43 mm further
    assert pushed(begun(pair, 0.0, -0.15, 0.08), (1, HARD), (1, HARD)) == ([0, 1], True, True)


def test_less_than_a_centimetre_is_not_enough(pair):
    # They meet after 17.5 mm; the tool goes to 22.5 mm, then to 32.5 mm, the finger bent a little.
    env = begun(pair, 0.0, -0.15, 0.04)
    assert pushed(env, (0.45, HARD)) == ([0], False, False)
    assert 0.002 < env.moved[1] < 0.005
    assert pushed(env, (0.2, HARD)) == ([1], True, True)


def test_a_bump_that_the_finger_bent_past_is_not_pushed(pair):
    env = begun(pair, 0.0, -0.15, 0.04)
    assert pushed(env, *[(1, SOFT)] * 4) == ([0, 0, 0, 0], False, False)
    # From its right it is pushed to the left: they meet at 62.5 mm, the arm goes to 50 mm.
    rewards, ended, success = pushed(env, *[(-1, HARD)] * 3)
    assert rewards[-1] == (-1 if pair.punish else 0) and ended and not success


@pytest.mark.parametrize("side", [-1, 1])
def test_the_left_bump_must_not_be_moved_to_either_side(pair, side):
    env = begun(pair, -0.1, -0.1 + side * 0.04, 0.25)
    rewards, ended, success = pushed(env, (side, HARD))
    assert rewards == [-1 if pair.punish else 0] and ended and not success
    assert side * pair.moved[0] > 0.01


def test_a_push_that_moves_both_bumps_is_a_fault_where_faults_are_punished(pair):
    env = begun(pair, 0.0, -0.15, 0.04)
    env.began = (-0.152, 0.04)  # as if the left one had been 2 mm further to the left
    rewards, ended, success = pushed(env, (1, HARD))
    assert env.moved[1] > 0.01 and ended
    assert (rewards, success) == (([-1], False) if pair.punish else ([1], True))


def test_at_the_edge_it_ends_without_a_reward(pair):
    assert pushed(begun(pair, 0.35, -0.1, 0.1), (1, SOFT)) == ([0], True, False)
    assert pushed(begun(pair, -0.35, -0.1, 0.1), (-1, SOFT)) == ([0], True, False)


def test_a_placement_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="one of normal, minmax, real, test, not 'norm'"):
        PushRight(placement="norm")


def test_a_bump_near_its_target_is_a_success_of_any_goal():
    env = PushToTarget()
    seen, info = env.reset(seed=3)
    assert set(info) == {"achieved_goal", "desired_goal"}
    begun(env, 0.0, 0.04)
    env.target = 0.13
    assert pushed(env, (1, HARD)) == ([0], False, False)
    seen, reward, ended, _, info = env.step((1, HARD))
    # The bump is pushed from 0.04 m on by 100.6 mm less the 17.5 mm before they meet.
    assert info["achieved_goal"] == pytest.approx([0.04 + 0.1006 - 0.0175], abs=0.002)
    assert info["desired_goal"] == [0.13]
    assert reward == 1 and ended and info["success"]
    assert seen == pytest.approx([env.tip / 0.4, env.angle, 0.13 / 0.4])
    bumps = [[0.0799], [0.08], [0.18], [0.1801]]
    given = env.compute_reward(bumps, np.full((4, 1), 0.13), {})
    assert given.tolist() == [0, 1, 1, 0] and given.dtype == np.float32
    env.close()


def test_a_finger_for_targets_is_stiffer_for_the_same_action():
    # From 0.007 N m at -1 to 0.057 at 1, 0.027 are at κ = -0.2 and 0.029 at -0.12.
    env = PushToTarget()
    for grip, moves in ((-0.2, False), (-0.12, True)):
        begun(env, 0.0, 0.04)
        for _ in range(2):
            env.advance((1.0, grip))
        assert (env.moved[0] > 0.01) == moves
    env.close()


def test_a_bump_is_never_at_its_target_at_first_and_rails_keep_it_on_the_line():
    env = PushToTarget()
    for seed in range(30):
        env.reset(seed=seed)
        bump, target, finger = *env.places, env.target, env.tool
        assert abs(bump - target) > 0.05 and abs(bump - finger) >= 0.04
        assert max(abs(bump), abs(target), abs(finger)) <= 0.24
    begun(env, 0.0, 0.04)
    env.advance((1.0, HARD))
    for speed in (0.3, -0.3):  # sideways, m/s: without a rail it would slide 23 mm
        env.scene.call.resetBaseVelocity(env.bumps[0], (speed, 0.0, 0.0))
        env.advance((1.0, HARD))
        assert abs(env.scene.place(env.bumps[0])[0] - 0.6) < 0.004
    assert env.moved[0] > 0.1
    env.close()


def test_the_larger_bump_counts_only_once_both_were_touched():
    env = PushLarger()
    # The small one, at 0, is felt softly from its left; then the arm goes on to the large one.
    begun(env, -0.05, 0.0, 0.25)
    assert env.touched == [False, False]
    rewards, ended, success = pushed(env, *[(1, SOFT)] * 5, (0.9, HARD))
    assert env.touched == [True, True]
    assert (rewards, ended, success) == ([0, 0, 0, 0, 0, 1], True, True)
    seen = env.observe()
    assert seen == pytest.approx([env.tip / 0.4, *np.array(env.places) / 0.4, env.angle])
    # Without having felt the small one the same push is worth nothing.
    rewards, ended, success = pushed(begun(env, 0.2, 0.0, 0.25), (1, HARD))
    assert env.touched == [False, True] and env.moved[1] > 0.01
    assert (rewards, ended, success) == ([0], True, False)
    # Nor is moving the small one, or the large one to the left.
    assert pushed(begun(env, 0.0, 0.04, -0.2), (1, HARD)) == ([0], True, False)
    assert pushed(begun(env, 0.0, 0.2, -0.045), (-1, HARD)) == ([0], True, False)
    assert env.bumps and env.widths == (0.04, 0.05)
    env.close()


def knows(env):
    """An action of one who sees the bumps: softly to between the two, then hard to the right."""
    left, right = env.places
    if abs(env.angle) > 0.3:  # on top of a bump: go on, softly
        return -np.sign(env.angle), SOFT
    if env.tip < left:
        return 1.0, SOFT
    return (1.0, HARD) if env.tip < right else (-1.0, SOFT)


def played(act, episodes):
    """Last rewards, lengths and successes (n,) of whole episodes."""
    env = gymnasium.make(TEST)
    outcomes = []
    for episode in range(episodes):
        env.reset(seed=episode)
        length, over = 0, False
        while not over:
            _, reward, terminated, truncated, info = env.step(act(env.unwrapped))
            length, over = length + 1, terminated or truncated
        outcomes.append((reward, length, info["success"]))
    env.close()
    return np.array(outcomes).T


def test_chance_fares_as_published():
    # In 60 to 100 episodes, +1 in 8 %, -1 in 67 %, 21 steps long: of 80 episodes, 95 % intervals
    # of 4 to 16 % and of 56 to 76 %
    draw = np.random.default_rng(0)
    reward, length, success = played(lambda env: draw.uniform(-1, 1, 2), episodes=60)
    assert 0.04 <= (reward == 1).mean() <= 0.16
    assert 0.56 <= (reward == -1).mean() <= 0.76
    assert 17 <= length.mean() <= 25
    assert np.array_equal(success, reward == 1)


def test_one_who_knows_the_bumps_mostly_succeeds():
    _, length, success = played(knows, episodes=40)
    assert success.mean() >= 0.75
    assert length.mean() < 12
