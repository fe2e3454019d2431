"""A trained policy's transitions on the disk."""

from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
from children import tiny
from test_examples import EXTENDING, write_files

import offpcc
from offpcc.deploy import play
from offpcc.deploy.demonstrate import demonstrate, record_data
from offpcc.envs.make_env import make_env
from offpcc.storage.run_folder import RunFolder
from offpcc.training.dataset import read_episodes
from offpcc.training.dataset_io import read_transitions

NAMES = ("obs", "next_obs", "action", "reward", "terminated", "truncated")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on an environment whose episodes end early, with the previous action an input."""
    folder = tmp_path_factory.mktemp("run")
    config = tiny(
        folder, "steps = 60\neval_interval = 60\nlearning_starts = 20\nprevious_action = True"
    )
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


def test_arrays_that_cannot_all_be_written_leave_those_of_before(trained, monkeypatch) -> None:
    demonstrate(trained, 2)
    before = {file: file.read_bytes() for file in (trained / "demonstrations").iterdir()}
    save = np.save

    def full(file: Path, values: np.ndarray) -> None:
        if file.stem == "reward":
            raise OSError(28, "No space left on device")
        save(file, values)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        demonstrate(trained, 3)
    after = {file: file.read_bytes() for file in (trained / "demonstrations").iterdir()}
    assert after == before and not (trained / ".demonstrations").exists()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page on extending's modules and all data sets."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.syspath_prepend(tmp_path)
    write_files(EXTENDING, tmp_path)
    return tmp_path


def learned(folder: Path, env: str, algo: str, more: str = "") -> Path:
    """A run of a few steps."""
    config = tiny(
        folder, "steps = 40\neval_interval = 40\nlearning_starts = 20\nchannels = 2\n" + more
    )
    return offpcc.run(env, algo, config=config, seed=1, results=folder).path


def test_a_environment_of_ones_own_is_recorded_and_learned_from(place) -> None:
    run = learned(place, "recall:recall-v0", "rsac")
    assert record_data(run, 3).startswith("recall/rsac-1-v0: 15 steps of 3 episodes, return ")
    data = minari.load_dataset("recall/rsac-1-v0")
    assert data.spec.env_spec.entry_point == "recall:Recall"
    assert [len(episode) for episode in data.iterate_episodes()] == [5, 5, 5]
    offline = learned(place, "recall:recall-v0", "rtd3_bc", "dataset = 'recall/rsac-1-v0'\n")
    assert "final" in RunFolder(offline).read()
    demonstrate(run, 2)
    found = read_episodes(str(run / "demonstrations"), make_env("recall:recall-v0").space_adapter)
    assert [len(episode) for episode in found.episodes] == [5, 5]


class Mixture(gymnasium.Env[Any, Any]):
    """Episodes of 5 steps; a vector of float64, a choice, and a picture of the step's own noise."""

    observation_space = gymnasium.spaces.Dict(
        arm=gymnasium.spaces.Box(-9, 9, (2,), np.float64),
        camera=gymnasium.spaces.Box(0, 255, (36, 36, 3), np.uint8),
        mode=gymnasium.spaces.Discrete(3, start=1),
    )
    action_space = gymnasium.spaces.Box(-2, 2, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.time = 0
        return self.observe(), {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.time += 1
        return self.observe(), float(action[0]), False, self.time == 5, {}

    def observe(self) -> dict[str, Any]:
        return {"arm": np.full(2, self.time / 4), "camera": noise(self.time), "mode": self.mode()}

    def mode(self) -> int:
        return 1 + self.time % 3


def noise(step: int) -> np.ndarray:
    return np.random.default_rng(step).integers(0, 256, (36, 36, 3)).astype(np.uint8)


def test_mappings_with_pictures_are_recorded_to_the_bit_and_learned_from(place) -> None:
    gymnasium.register("Mixture-0.5-v0", entry_point=Mixture)
    record_data(learned(place, "Mixture-0.5-v0", "rsac"), 2)
    data = minari.load_dataset("Mixture-0_5/rsac-1-v0")
    for episode in data.iterate_episodes():
        seen = episode.observations
        assert seen["mode"].tolist() == [1, 2, 3, 1, 2, 3]
        assert seen["arm"][:, 0].tolist() == [0, 0.25, 0.5, 0.75, 1, 1.25]
        assert all(np.array_equal(seen["camera"][step], noise(step)) for step in range(6))
        np.testing.assert_allclose(episode.actions[:, 0], episode.rewards, atol=1e-6)
    learned(place, "Mixture-0.5-v0", "td3_bc", f"dataset = {data.spec.dataset_id!r}\n")
    gymnasium.registry.pop("Mixture-0.5-v0")
