import pytest
import torch

from offpcc.data import AgentSpec, Field
from offpcc.networks import Encoder
from offpcc.networks.convolution import Convolution


def test_filters_by_hand() -> None:
    eye = Convolution(Field((1, 5, 5), "uint8"), channels=1, strides=(2,), width=4)
    (layer, _), linear = eye.filters, eye.head[0]
    layer.weight.data.fill_(1.0)
    layer.bias.data.fill_(-2.0)
    picture = torch.zeros(1, 1, 5, 5)
    picture[0, 0, 2, 2:] = 1.0
    # windows of 3 × 3 at corners (0, 0), (0, 2), (2, 0), (2, 2) hold 1, 3, 1, 3 bright pixels
    assert eye.filters(picture).flatten().tolist() == [0, 1, 0, 1]
    weights = linear.weight @ torch.tensor([0.0, 1.0, 0.0, 1.0]) + linear.bias
    scaled = (weights - weights.mean()) / (weights.var(correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(eye(picture)[0], scaled.tanh())


def test_channels_may_come_first_or_last() -> None:
    first = Convolution(Field((2, 9, 11), "uint8"), channels=3, strides=(2, 1), width=5)
    last = Convolution(Field((9, 11, 2), "uint8"), channels=3, strides=(2, 1), width=5)
    last.load_state_dict(first.state_dict())
    pictures = torch.rand(4, 2, 9, 11)
    torch.testing.assert_close(first(pictures), last(pictures.movedim(1, -1)))


def test_a_plane_is_a_picture_of_one_channel() -> None:
    plane = Convolution(Field((9, 9), "uint8"), strides=(2,))
    one = Convolution(Field((1, 9, 9), "uint8"), strides=(2,))
    one.load_state_dict(plane.state_dict())
    pictures = torch.rand(4, 9, 9)
    torch.testing.assert_close(plane(pictures), one(pictures.unsqueeze(1)))


def test_a_plane_may_be_higher_than_wide_and_no_layers_may_be_asked_for() -> None:
    assert Convolution(Field((21, 16), "uint8"), strides=(2,))(torch.rand(3, 21, 16)).shape == (
        3,
        50,
    )
    assert Convolution(Field((2, 3, 4), "uint8"), strides=())(torch.rand(5, 2, 3, 4)).shape == (
        5,
        50,
    )
    with pytest.raises(ValueError, match="each must be at least 1"):
        Convolution(Field((1, 9, 9), "uint8"), strides=(0,))


def test_a_key_may_have_any_name_and_more_axes_are_refused() -> None:
    spec = AgentSpec({"camera.front": Field((1, 9, 9), "uint8")}, 1)
    seen = {"camera.front": torch.rand(1, 2, 1, 9, 9)}
    assert Encoder(spec, strides=(2,))(seen).shape == (1, 2, 50)
    with pytest.raises(ValueError, match="put stacked frames into the channels"):
        Encoder(AgentSpec({"stack": Field((4, 9, 9, 3), "uint8")}, 1))


def test_pictures_that_strides_leave_nothing_of_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pictures of \(1, 9, 9\) are too small"):
        Convolution(Field((1, 9, 9), "uint8"), strides=(2, 2, 2))


def test_an_encoder_puts_what_it_sees_and_numbers_side_by_side() -> None:
    spec = AgentSpec({"speed": Field((3,)), "view": Field((1, 9, 9), "uint8")}, 1)
    encoder = Encoder(spec, channels=4, strides=(2,), picture_features=6)
    assert encoder.size == 9
    seen = {"speed": torch.randn(2, 5, 3), "view": torch.rand(2, 5, 1, 9, 9)}
    found = encoder(seen)
    torch.testing.assert_close(found[..., :3], seen["speed"])
    for t in range(5):
        torch.testing.assert_close(found[:, t, 3:], encoder.eyes["1"](seen["view"][:, t]))
