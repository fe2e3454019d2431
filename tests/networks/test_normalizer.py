import numpy as np
import pytest
import torch

from offpcc.data import AgentSpec, Field
from offpcc.networks import Normalizer
from offpcc.networks.normalizer import Moments

SPEC = AgentSpec({"pixels": Field((2, 2), "uint8"), "speed": Field((3,)), "goal": Field((1,))}, 1)


def observed(*lengths: int) -> list[dict[str, np.ndarray]]:
    """Observations of episodes of these lengths, off centre and of several scales."""
    random = np.random.default_rng(0)
    return [
        {
            "pixels": random.integers(0, 256, (length, 2, 2), np.uint8),
            "speed": random.normal((0, 1e4, -3), (1, 50, 0.1), (length, 3)).astype(np.float32),
            "goal": random.normal(5, 2, (length, 1)).astype(np.float32),
        }
        for length in lengths
    ]


def tensors(observation: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(values) for key, values in observation.items()}


def test_observing_in_pieces_gives_the_moments_of_the_whole() -> None:
    normalizer, episodes = Normalizer(SPEC, enabled=True), observed(1, 30, 2, 500, 1)
    for episode in episodes:
        normalizer.observe(episode)
    for key, moments in zip(normalizer.keys, normalizer.moments, strict=True):
        whole = np.concatenate([episode[key] for episode in episodes]).astype(np.float64)
        np.testing.assert_allclose(moments.mean, whole.mean(0), rtol=1e-10)
        np.testing.assert_allclose(moments.std, whole.std(0), rtol=1e-9)
        assert moments.count == 534


def test_normalised_observations_have_mean_zero_and_deviation_one() -> None:
    normalizer, [episode] = Normalizer(SPEC, enabled=True), observed(400)
    normalizer.observe(episode)
    ready = normalizer(tensors(episode))
    for key in ("speed", "goal"):
        torch.testing.assert_close(
            ready[key].mean(0), torch.zeros(len(ready[key][0])), atol=1e-3, rtol=0
        )
        torch.testing.assert_close(
            ready[key].std(0, correction=0), torch.ones(len(ready[key][0])), atol=1e-3, rtol=0
        )


def test_a_value_is_shifted_and_scaled_and_clipped_at_ten() -> None:
    moments = Moments((1,))
    moments.observe(np.array([[1.0], [5.0]]))  # mean 3, deviation √(½ (4 + 4)) = 2
    values = torch.tensor([[7.0], [2.0], [1000.0], [-1000.0]])
    assert moments(values).flatten().tolist() == [2.0, -0.5, 10.0, -10.0]


def test_moments_stand_still_while_observations_are_normalised() -> None:
    normalizer, [first, second] = Normalizer(SPEC, enabled=True), observed(20, 20)
    normalizer.observe(first)
    before = {key: value.clone() for key, value in normalizer.state_dict().items()}
    raw = tensors(second)
    kept = {key: value.clone() for key, value in raw.items()}
    normalizer(raw)
    torch.testing.assert_close(normalizer.state_dict(), before, rtol=0, atol=0)
    torch.testing.assert_close(raw, kept, rtol=0, atol=0)


def test_floats_pass_unchanged_where_it_is_not_enabled() -> None:
    normalizer, [episode] = Normalizer(SPEC), observed(20)
    normalizer.observe(episode)
    ready = normalizer(tensors(episode))
    assert torch.equal(ready["speed"], torch.from_numpy(episode["speed"]))
    assert not normalizer.state_dict()


@pytest.mark.parametrize("enabled", [False, True])
def test_pixels_become_shares_of_255(enabled: bool) -> None:
    normalizer, [episode] = Normalizer(SPEC, enabled=enabled), observed(3)
    episode["pixels"][0] = [[0, 51], [102, 255]]
    normalizer.observe(episode)
    ready = normalizer(tensors(episode))
    torch.testing.assert_close(ready["pixels"][0], torch.tensor([[0.0, 0.2], [0.4, 1.0]]))


def test_a_number_that_never_changes_becomes_zero() -> None:
    moments = Moments((1,))
    moments.observe(np.full((50, 1), 0.1, np.float32))
    assert moments(torch.tensor([[0.1]])).abs() < 1e-3


def test_moments_come_back_from_their_state_and_go_on_alike() -> None:
    kept, again = Normalizer(SPEC, enabled=True), Normalizer(SPEC, enabled=True)
    first, second = observed(20, 30)
    kept.observe(first)
    again.load_state_dict(kept.state_dict())
    for normalizer in (kept, again):
        normalizer.observe(second)
    torch.testing.assert_close(again.state_dict(), kept.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("count", [2**24, 2**31, 2**53])
def test_the_count_is_exact_past_what_floats_hold(count: int) -> None:
    moments = Moments((1,))
    moments.count.fill_(count)
    moments.observe(np.array([[float(count + 1)]]))
    assert moments.count.item() == count + 1
    assert moments.mean.item() == pytest.approx(1)  # 0 + (n + 1) / (n + 1)
