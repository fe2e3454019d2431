import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from offpcc.domains.cartpole_continuous import CartPole
from offpcc.domains.pendulum import Pendulum


@pytest.fixture
def env() -> Pendulum:
    env = Pendulum()
    env.reset(seed=0)
    return env


def outcome(env, state, action):
    env.state = state
    return env.step(action)[1], env.state.tolist()


@pytest.mark.parametrize(("outside", "edge"), [(1.5, 1.0), (-80.0, -1.0), (np.inf, 1.0)])
def test_an_action_out_of_range_is_clipped(env, outside, edge):
    assert outcome(env, [1.0, 0.0], [outside]) == outcome(env, [1.0, 0.0], [edge])
    assert outcome(env, [1.0, 0.0], [edge]) != outcome(env, [1.0, 0.0], [0.9 * edge])


def test_an_action_that_is_not_a_number_is_refused_and_moves_nothing(env):
    before = env.state
    with pytest.raises(ValueError, match="has a NaN"):
        env.step(np.array([np.nan], dtype=np.float32))
    assert (env.state == before).all()


@pytest.mark.parametrize("action", [0.5, [0.5, 0.5], [[0.5]], []])
def test_an_action_of_another_shape_is_refused(env, action):
    with pytest.raises(ValueError, match=r"an action has shape \(1,\)"):
        env.step(action)


def test_the_state_is_a_float64_copy_that_can_be_put_back(env):
    kept = env.state
    assert kept.dtype == np.float64
    env.step([1.0])
    assert (env.state != kept).any()
    env.state = kept
    kept[:] = 0.0
    assert (env.state != 0.0).any()


@pytest.mark.parametrize(
    "state", [[0.0], [[0.0, 0.0]], [np.nan, 0.0], [np.inf, 0.0], [0.0, 8.1], [0.0, -8.1]]
)
def test_an_invalid_state_is_refused_and_the_old_one_kept(env, state):
    before = env.state
    with pytest.raises(ValueError, match="state"):
        env.state = state
    assert (env.state == before).all()


def test_no_step_comes_before_a_reset_or_after_the_end():
    env = CartPole()
    with pytest.raises(ResetNeeded):
        env.step([0.0])
    env.reset(seed=0)
    env.state = [2.4, 1.0, 0.0, 0.0]
    assert env.step([0.0])[2] is True
    with pytest.raises(ResetNeeded):
        env.step([0.0])
    env.reset()
    assert env.step([0.0])[2] is False


def test_outcomes_are_plain_python_values(env):
    _, reward, terminated, truncated, info = env.step(np.array([0.25], dtype=np.float32))
    assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
    assert info == {}


def test_an_unknown_render_mode_is_refused():
    with pytest.raises(ValueError, match="not 'ansi'"):
        Pendulum(render_mode="ansi")
