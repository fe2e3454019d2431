"""Reading an expert's transitions, and what is refused."""

import minari
import numpy as np
import pytest
from gymnasium.spaces import Box
from minari.data_collector import EpisodeBuffer

from offpcc.transitions import flat, read_transitions


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
