import pytest
import torch

from offpcc.data import AgentSpec, Field
from offpcc.networks import Encoder

SPEC = AgentSpec({"image": Field((1, 2, 2)), "speed": Field((2,)), "goal": Field((1,))}, 1)


def observation() -> dict[str, torch.Tensor]:
    """One row of two steps, whose numbers tell where they came from."""
    return {
        "goal": torch.tensor([[[7.0], [8.0]]]),
        "speed": torch.tensor([[[5.0, 6.0], [-5.0, -6.0]]]),
        "image": torch.tensor([[[[[1.0, 2], [3, 4]]], [[[-1.0, -2], [-3, -4]]]]]),
    }


def test_all_keys_are_read_in_the_order_of_the_spec() -> None:
    encoder = Encoder(SPEC)
    inputs = encoder(observation())
    assert inputs.tolist() == [[[1, 2, 3, 4, 5, 6, 7], [-1, -2, -3, -4, -5, -6, 8]]]
    assert encoder.size == 7


def test_chosen_keys_are_read_in_the_order_of_the_choice() -> None:
    encoder = Encoder(SPEC, keys=("goal", "speed"))
    assert encoder(observation()).tolist() == [[[7, 5, 6], [8, -5, -6]]]
    assert encoder.size == 3


def test_one_key_alone_is_its_numbers() -> None:
    assert Encoder(SPEC, keys=["image"])(observation()).tolist() == [
        [[1, 2, 3, 4], [-1, -2, -3, -4]]
    ]


def test_an_embedding_size_gives_a_rectified_linear_layer() -> None:
    encoder = Encoder(SPEC, keys=["speed"], embedding_size=2)
    weight, bias = encoder.parameters()
    weight.data.copy_(torch.tensor([[1.0, 1.0], [0.0, -1.0]]))
    bias.data.copy_(torch.tensor([0.5, 1.0]))
    # relu(5 + 6 + 0.5), relu(-6 + 1);  relu(-5 - 6 + 0.5), relu(6 + 1)
    assert encoder(observation()).tolist() == [[[11.5, 0], [0, 7]]]
    assert encoder.size == 2


def test_a_key_that_the_observation_lacks_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"\['sped'\].*it has \['image', 'speed', 'goal'\]"):
        Encoder(SPEC, keys=("speed", "sped"))
