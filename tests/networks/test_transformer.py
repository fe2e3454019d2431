import math

import pytest
import torch

from offpcc.networks import MinGRU, Transformer
from offpcc.networks.transformer import Block, rotated


def test_a_layer_looks_back_at_as_many_steps_as_its_context_says() -> None:
    torch.manual_seed(0)
    memory = Transformer(
        2, hidden_size=8, num_layers=1, context_length=3, num_heads=2, skip_connection=False
    )
    inputs = torch.randn(1, 9, 2, requires_grad=True)
    memory.unroll(inputs, torch.zeros(1, memory.state_size))[0][0, 7].square().sum().backward()
    assert inputs.grad is not None
    assert inputs.grad[0].any(-1).tolist() == [t in (4, 5, 6, 7) for t in range(9)]


def test_attention_by_hand() -> None:
    torch.manual_seed(0)
    block = Block(4, heads=1)
    hidden = torch.randn(1, 3, 4)
    block.contract.weight.data.zero_()
    block.contract.bias.data.zero_()
    found, known = block(hidden, torch.zeros(1, 0, 4 * 2), torch.ones(3, 3).tril().bool())
    inputs = block.norms[0](hidden)[0]
    query, (key, value) = block.query(inputs), block.key_value(inputs).chunk(2, -1)
    assert torch.equal(known[0], torch.cat((key, value), -1))
    for t in range(3):
        turned = [rotated(key[j : j + 1], torch.tensor([j]))[0] for j in range(t + 1)]
        now = rotated(query[t : t + 1], torch.tensor([t]))[0]
        weight = torch.stack([(now @ each / 2).exp() for each in turned])
        mean = (weight / weight.sum()) @ value[: t + 1]
        torch.testing.assert_close(found[0, t], hidden[0, t] + block.output(mean))


def test_a_turn_by_hand() -> None:
    place = torch.tensor([0, 3])
    values = torch.tensor([[1.0, 2.0, 3.0, 4.0]] * 2)
    first, later = rotated(values, place)
    assert first.tolist() == [1, 2, 3, 4]
    # pairs (1, 3) and (2, 4) are turned by 3 · 1 and 3 · 10,000^-½ rad
    expected = [
        math.cos(3) - 3 * math.sin(3),
        2 * math.cos(0.03) - 4 * math.sin(0.03),
        math.sin(3) + 3 * math.cos(3),
        2 * math.sin(0.03) + 4 * math.cos(0.03),
    ]
    assert later.tolist() == pytest.approx(expected)


def test_a_state_counts_the_steps_it_holds_and_keeps_the_newest_last() -> None:
    torch.manual_seed(0)
    memory = Transformer(2, hidden_size=8, num_layers=1, context_length=3, num_heads=2)
    inputs = torch.randn(1, 5, 2)
    counts = [
        memory.unroll(inputs[:, :t], torch.zeros(1, memory.state_size))[1][0, 0].item()
        for t in (1, 2, 3, 5)
    ]
    assert counts == [1, 2, 3, 3]
    after = memory.unroll(inputs, torch.zeros(1, memory.state_size))[1][0, 1:].view(3, 16)
    block = memory.blocks[0]
    torch.testing.assert_close(after, block.key_value(block.norms[0](memory.embed(inputs)))[0, -3:])


def test_heads_share_the_hidden_size_evenly() -> None:
    with pytest.raises(
        ValueError, match="hidden_size is 12; it must be a multiple of 8, twice num_heads"
    ):
        Transformer(2, hidden_size=12, num_heads=4)


@pytest.mark.parametrize("wrong", [{"context_length": 0}, {"num_layers": 0}, {"num_heads": 0}])
def test_sizes_are_at_least_1(wrong) -> None:
    with pytest.raises(ValueError, match=r"Transformer.\w+ is 0; it must lie in \[1, "):
        Transformer(2, **wrong)
    with pytest.raises(ValueError, match="num_layers is 0"):
        MinGRU(2, num_layers=0)


def test_a_min_gru_by_hand() -> None:
    memory = MinGRU(1, hidden_size=1, skip_connection=False, forget_gate_bias=-1.0)
    layer = memory.maps[0]
    assert layer.bias[0].item() == -1.0
    layer.weight.data.copy_(torch.tensor([[2.0], [3.0]]))
    layer.bias.data.copy_(torch.tensor([-1.0, 0.5]))
    feature, state = memory.step(torch.tensor([[0.5]]), torch.tensor([[4.0]]))
    # a = sigmoid(2 · ½ - 1) = ½, c = 3 · ½ + ½ = 2;  ½ · 4 + ½ · 2 = 3
    assert feature.item() == state.item() == pytest.approx(3)
