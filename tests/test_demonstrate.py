"""A trained policy's transitions on the disk."""

from pathlib import Path

import numpy as np
import pytest
from children import tiny

import domains  # noqa: F401 - registers the ids
import offpcc
from offpcc import play
from offpcc.demonstrate import demonstrate
from offpcc.transitions import read_transitions

NAMES = ("obs", "next_obs", "action", "reward", "terminated", "truncated")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a world whose episodes end early, with the previous action an input."""
    folder = tmp_path_factory.mktemp("run")
    config = tiny(folder, "steps = 60\nepoch = 60\nwarm_up = 20\nprevious_action = True")
    return offpcc.run(
        "cartpole-continuous-p-v0", "rsac", config=config, seed=1, results=folder
    ).path


@pytest.mark.parametrize("episodes", [1, 7, 23])
def test_the_files_are_all_steps_of_the_evaluations_episodes(trained, episodes) -> None:
    said = demonstrate(trained, episodes)
    found = {name: np.load(trained / "demonstrations" / f"{name}.npy") for name in NAMES}
    steps = len(found["obs"])
    assert f"{steps} steps of {episodes} episodes" in said
    assert found["obs"].shape == found["next_obs"].shape == (steps, 2)  # no previous action
    assert found["action"].shape == (steps, 1)
    ended = found["terminated"] | found["truncated"]
    assert ended.sum() == episodes and ended[-1]
    follows = ~ended[:-1]
    assert np.array_equal(found["next_obs"][:-1][follows], found["obs"][1:][follows])
    begins = found["next_obs"][:-1][~follows] != found["obs"][1:][~follows]
    assert begins.any(-1).all()
    mean, _ = play.score(trained, episodes)
    assert found["reward"].sum() / episodes == pytest.approx(mean)


def test_an_experts_transitions_are_read_from_them(trained) -> None:
    demonstrate(trained, 2)
    before, after = read_transitions(str(trained / "demonstrations"))
    assert np.array_equal(before, np.load(trained / "demonstrations" / "obs.npy"))
    assert before.shape == after.shape
