import gymnasium
import numpy as np
import pytest

from offpcc.domains.canvas import COLOURS, Canvas
from offpcc.domains.pendulum import Pendulum

STATES = {
    "pendulum-p-v0": ([1.0, 0.5], [1.1, 0.5], [1.0, 0.6]),
    "cartpole-continuous-va-v0": ([0.1, 0, 0, 0], [0.2, 0, 0, 0], [0.1, 0, 0, 1.0]),
    "cartpole-var-len-pa-v0": ([0.1, 0, 0, 0], [0.2, 0, 0, 0], [0.1, 0, 0, 1.0]),
    "cartpole-flip-action-pa-v0": ([0.1, 0, 0, 0], [0.1, 0, 0.1, 0], [0.1, 1.0, 0, 0]),
}
# where the values of an environment have what no view shows, and two values of it
KEPT_BACK = [
    ("pendulum-var-len-pa-v0", 2, (0.2, 1.0)),
    ("cartpole-variable-mass-p-v0", 4, (0.8, 0.9)),
    ("cartpole-variable-mass-p-v0", 5, (0.1, 0.11)),
    ("cartpole-var-len-pa-v0", 4, (0.1, 0.6)),
    ("cartpole-flip-action-pa-v0", 5, (-1.0, 1.0)),
]


@pytest.fixture
def canvas() -> Canvas:
    """100 × 60 pixels, 10 pixels a metre, (1, 2) in the middle."""
    canvas = Canvas((100, 60), scale=10.0, centre=(1.0, 2.0))
    canvas.clear()
    return canvas


@pytest.mark.parametrize("id", STATES)
def test_a_picture_is_rgb_and_changes_with_every_part_of_the_state(id):
    env = gymnasium.make(id, render_mode="rgb_array")
    env.reset(seed=0)
    width, height = env.unwrapped.frame.size
    pictures = []
    for state in STATES[id]:
        env.unwrapped.state = state
        picture = env.render()
        assert (picture.shape, picture.dtype) == ((height, width, 3), np.uint8)
        assert np.array_equal(picture, env.render())
        pictures.append(picture)
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


@pytest.mark.parametrize(("id", "row", "values"), KEPT_BACK)
def test_a_picture_tells_what_the_agent_cannot_see(id, row, values):
    env = gymnasium.make(id, render_mode="rgb_array")
    env.reset(seed=0)
    pictures = []
    for value in values:
        env.unwrapped.values[row] = value
        pictures.append(env.render())
    assert not np.array_equal(*pictures)


def test_the_rod_is_drawn_where_it_points():
    env = Pendulum(render_mode="rgb_array")
    env.state = [np.pi / 2, 0.0]  # a quarter turn counter-clockwise: to the left
    picture = env.render()
    # 0.5 m at 140 pixels a metre is 70 pixels from the middle (200, 200)
    assert picture[200, 130].tolist() == list(COLOURS["body"])
    assert picture[200, 270].tolist() == list(COLOURS["paper"])


def test_what_is_hidden_is_written_into_the_picture():
    pictures = []
    for hidden in ("velocity", "angle"):
        env = Pendulum(render_mode="rgb_array", hidden=hidden)
        env.reset(seed=0)
        pictures.append(env.render())
    changed = np.argwhere((pictures[0] != pictures[1]).any(axis=2))
    assert len(changed) and changed[:, 0].min() > 370  # the bottom row of 400


def test_metres_become_pixels_with_y_up(canvas):
    canvas.disc((3.0, 3.0), 0.3, "ink")
    picture = canvas.rgb()
    # 2 m right of and 1 m above the middle (50, 30): column 70, row 20
    assert picture.shape == (60, 100, 3)
    rows, columns = np.nonzero((picture == COLOURS["ink"]).all(axis=2))
    assert (rows.mean(), columns.mean()) == pytest.approx((20 - 0.5, 70 - 0.5), abs=0.5)
    assert picture[30, 50].tolist() == list(COLOURS["paper"])


def test_an_arrow_without_length_is_not_drawn(canvas):
    blank = canvas.rgb()
    canvas.arrow([(0.0, 0.0), (0.0, 0.0)], "action")
    canvas.curl((0.0, 0.0), 1.0, start=1.0, sweep=0.0, colour="action")
    assert np.array_equal(canvas.rgb(), blank)
    canvas.arrow([(0.0, 0.0), (1.0, 0.0)], "action")
    assert not np.array_equal(canvas.rgb(), blank)


def test_rendering_without_a_mode_is_refused():
    env = Pendulum()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="render_mode"):
        env.render()


@pytest.mark.usefixtures("no_display")
def test_two_windows_are_open_at_once_and_closing_one_leaves_the_other():
    first, second = Pendulum(render_mode="human"), Pendulum(render_mode="human")
    for env in (first, second):
        env.reset(seed=0)
        assert env.render() is None
    first.close()
    first.close()
    second.step([0.0])
    second.close()


@pytest.mark.usefixtures("no_display")
def test_closing_the_window_by_hand_interrupts_the_run():
    import pygame

    env = Pendulum(render_mode="human")
    env.reset(seed=0)
    pygame.event.post(pygame.Event(pygame.WINDOWCLOSE))
    with pytest.raises(KeyboardInterrupt, match="window was closed"):
        env.step([0.0])
    env.close()
