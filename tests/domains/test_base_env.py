import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from offpcc.domains.cartpole_continuous import CartPole
from offpcc.domains.pendulum import Pendulum


@pytest.fixture
def world() -> Pendulum:
    world = Pendulum()
    world.reset(seed=0)
    return world


def outcome(world, state, action):
    world.state = state
    return world.step(action)[1], world.state.tolist()


@pytest.mark.parametrize(("outside", "edge"), [(1.5, 1.0), (-80.0, -1.0), (np.inf, 1.0)])
def test_an_action_out_of_range_is_clipped(world, outside, edge):
    assert outcome(world, [1.0, 0.0], [outside]) == outcome(world, [1.0, 0.0], [edge])
    assert outcome(world, [1.0, 0.0], [edge]) != outcome(world, [1.0, 0.0], [0.9 * edge])


def test_an_action_that_is_not_a_number_is_refused_and_moves_nothing(world):
    before = world.state
    with pytest.raises(ValueError, match="has a NaN"):
        world.step(np.array([np.nan], dtype=np.float32))
    assert (world.state == before).all()


@pytest.mark.parametrize("action", [0.5, [0.5, 0.5], [[0.5]], []])
def test_an_action_of_another_shape_is_refused(world, action):
    with pytest.raises(ValueError, match=r"an action has shape \(1,\)"):
        world.step(action)


def test_the_state_is_a_float64_copy_that_can_be_put_back(world):
    kept = world.state
    assert kept.dtype == np.float64
    world.step([1.0])
    assert (world.state != kept).any()
    world.state = kept
    kept[:] = 0.0
    assert (world.state != 0.0).any()


@pytest.mark.parametrize(
    "state", [[0.0], [[0.0, 0.0]], [np.nan, 0.0], [np.inf, 0.0], [0.0, 8.1], [0.0, -8.1]]
)
def test_an_invalid_state_is_refused_and_the_old_one_kept(world, state):
    before = world.state
    with pytest.raises(ValueError, match="state"):
        world.state = state
    assert (world.state == before).all()


def test_no_step_comes_before_a_reset_or_after_the_end():
    world = CartPole()
    with pytest.raises(ResetNeeded):
        world.step([0.0])
    world.reset(seed=0)
    world.state = [2.4, 1.0, 0.0, 0.0]
    assert world.step([0.0])[2] is True
    with pytest.raises(ResetNeeded):
        world.step([0.0])
    world.reset()
    assert world.step([0.0])[2] is False


def test_outcomes_are_plain_python_values(world):
    _, reward, terminated, truncated, info = world.step(np.array([0.25], dtype=np.float32))
    assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
    assert info == {}


def test_an_unknown_render_mode_is_refused():
    with pytest.raises(ValueError, match="not 'ansi'"):
        Pendulum(render_mode="ansi")
