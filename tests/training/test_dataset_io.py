"""Reading an expert's transitions, writing a data set, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from minari.data_collector import EpisodeBuffer

from offpcc.training.dataset_io import flat, read_transitions, write_minari


def test_a_folder_of_arrays_is_read_as_flat_float32(tmp_path) -> None:
    before = np.arange(24.0).reshape(4, 2, 3)
    np.save(tmp_path / "obs.npy", before)
    np.save(tmp_path / "next_obs.npy", before + 1)
    one, other = read_transitions(str(tmp_path))
    assert one.dtype == other.dtype == np.float32
    assert np.array_equal(one, before.reshape(4, 6)) and np.array_equal(other, one + 1)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (np.zeros((3, 2)), np.zeros((4, 2)), "do not fit"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "do not fit"),
        (np.full((3, 2), np.nan), np.zeros((3, 2)), "not all observations are finite"),
        (np.array([{}]), np.zeros((1, 2)), "obs.npy cannot be read"),
        (None, np.zeros((1, 2)), "obs.npy cannot be read"),
    ],
)
def test_arrays_that_cannot_be_meant_are_refused(tmp_path, before, after, said) -> None:
    if before is not None:
        np.save(tmp_path / "obs.npy", before)
    np.save(tmp_path / "next_obs.npy", after)
    with pytest.raises(ValueError, match=said):
        read_transitions(str(tmp_path))


@pytest.mark.parametrize(("source", "said"), [("", "is not set"), ("nobody/ever-v0", "'nobody/")])
def test_what_is_neither_a_folder_nor_a_data_set_is_refused(source, said) -> None:
    with pytest.raises(ValueError, match=said):
        read_transitions(source)


def test_a_minari_data_set_is_read_episode_by_episode(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    episodes = [np.arange(8, dtype=np.float32).reshape(4, 2), np.ones((3, 2), np.float32)]
    buffers = [
        EpisodeBuffer(
            observations=seen,
            actions=np.zeros((len(seen) - 1, 1), np.float32),
            rewards=np.zeros(len(seen) - 1),
            terminations=np.zeros(len(seen) - 1, bool),
            truncations=np.zeros(len(seen) - 1, bool),
        )
        for seen in episodes
    ]
    minari.create_dataset_from_buffers(
        "offpcc/test-v0",
        buffers,
        observation_space=Box(-9, 9, (2,)),
        action_space=Box(-1, 1, (1,)),
        algorithm_name="none",
        author="nobody",
        author_email="nobody@example.com",
        code_permalink="https://example.com",
        description="none",
        env="Pendulum-v1",
        eval_env="Pendulum-v1",
    )
    before, after = read_transitions("offpcc/test-v0")
    assert before.tolist() == [[0, 1], [2, 3], [4, 5], [1, 1], [1, 1]]
    assert after.tolist() == [[2, 3], [4, 5], [6, 7], [1, 1], [1, 1]]


def test_mappings_are_laid_flat_part_by_part() -> None:
    nested = {"a": np.ones((2, 1)), "b": {"c": np.zeros((2, 2, 1)), "d": np.full(2, 3.0)}}
    assert flat(nested).tolist() == [[1, 0, 0, 3], [1, 0, 0, 3]]
    assert flat((np.ones((2, 1)), nested)).tolist() == [[1, 1, 0, 0, 3]] * 2


# Writing

NAME = "odd/sac-1-v0"
SPACES = (
    Dict(camera=Box(0, 255, (40, 40, 3), np.uint8), mode=Discrete(3), arm=Box(-9, 9, (2,))),
    Box(-1, 1, (1,)),
)


class Odd(gymnasium.Env[Any, Any]):
    """An environment that is registered by its class, and need not be made to write of it."""

    observation_space, action_space = SPACES

    def __init__(self, **settings: Any) -> None:
        self.settings = settings


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where data sets lie, none as yet; `Odd-v0` is registered."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    gymnasium.register("Odd-v0", entry_point=Odd)
    yield tmp_path / "minari"
    gymnasium.registry.pop("Odd-v0")


def episode(steps: int) -> dict[str, Any]:
    """Noise, which no lossy picture gives back."""
    random = np.random.default_rng(steps)
    return {
        "observations": {
            "camera": random.integers(0, 256, (steps + 1, 40, 40, 3)).astype(np.uint8),
            "mode": random.integers(0, 3, steps + 1),
            "arm": random.normal(size=(steps + 1, 2)).astype(np.float32),
        },
        "actions": random.uniform(-1, 1, (steps, 1)).astype(np.float32),
        "rewards": random.normal(size=steps),
        "terminations": np.arange(steps) == steps - 1,
        "truncations": np.zeros(steps, bool),
    }


def write(name: str = NAME, spaces: tuple[Any, Any] = SPACES, count: int = 2) -> None:
    episodes = [episode(3 + i) for i in range(count)]
    write_minari(name, episodes, spaces, env="test_dataset_io:Odd-v0", algorithm="sac")


def test_a_data_set_holds_pictures_and_mappings_to_the_bit(place) -> None:
    write()
    found = list(minari.load_dataset(NAME).iterate_episodes())
    assert len(found) == 2
    for i, read in enumerate(found):
        result = episode(3 + i)
        for key, values in result.pop("observations").items():
            assert np.array_equal(read.observations[key], values)
            assert read.observations[key].dtype == values.dtype
        assert all(np.array_equal(getattr(read, key), values) for key, values in result.items())


def test_an_environment_that_is_a_class_comes_back_by_its_name(place) -> None:
    write()
    spec = minari.load_dataset(NAME).spec.env_spec
    assert (spec.id, spec.entry_point) == ("Odd-v0", "test_dataset_io:Odd")
    for evaluation in (False, True):
        env = minari.load_dataset(NAME).recover_environment(evaluation)
        assert type(env.unwrapped).__name__ == "Odd"


@pytest.mark.parametrize(
    "spec", [{"entry_point": lambda: None}, {"entry_point": Odd, "kwargs": {"callback": print}}]
)
def test_an_environment_that_has_no_name_is_left_out(place, spec) -> None:
    gymnasium.registry.pop("Odd-v0")
    gymnasium.register("Odd-v0", **spec)
    write()
    assert minari.load_dataset(NAME).spec.env_spec is None


def test_nothing_is_left_of_a_data_set_that_minari_does_not_take(place, monkeypatch) -> None:
    with pytest.raises(ValueError, match="no data set was written: NotImplementedError"):
        write(spaces=(Odd(), SPACES[1]))
    assert not [*place.iterdir()]
    write("odd/other-v0")
    monkeypatch.setattr(minari, "create_dataset_from_buffers", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write()
    assert [*minari.list_local_datasets()] == ["odd/other-v0"]
    assert not (place / "odd" / "sac-1-v0").exists()


def interrupted(name: str, *arguments: Any, **options: Any) -> None:
    """Ctrl-C, once the first file is there."""
    folder = minari.storage.get_dataset_path(name) / "data"
    folder.mkdir(parents=True)
    (folder / "metadata.json").touch()
    raise KeyboardInterrupt


def test_a_data_set_that_does_not_come_back_as_it_was_written_is_removed(
    place, monkeypatch
) -> None:
    create = minari.create_dataset_from_buffers

    def lossy(*arguments: Any, **options: Any) -> Any:
        return create(*arguments, **options | {"jpeg_encoding": True})

    monkeypatch.setattr(minari, "create_dataset_from_buffers", lossy)
    with pytest.raises(ValueError, match="observations of episode 0 are not read as they were"):
        write()
    assert not [*place.iterdir()]


def test_a_full_disk_is_a_fault_of_the_disk_and_leaves_nothing(place, monkeypatch) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("minari.dataset._storages.hdf5_storage.HDF5Storage.update_episodes", full)
    with pytest.raises(OSError, match="No space left"):
        write()
    assert not [*place.iterdir()]


def test_a_data_set_that_is_there_is_not_touched(place) -> None:
    write()
    with pytest.raises(ValueError, match=f"there is a data set {NAME}"):
        write(count=1)
    assert len(minari.load_dataset(NAME)) == 2
