from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from offpcc.networks import GRU, LSTM, RNN, Identity, MinGRU, Summarizer, Transformer
from offpcc.networks.recurrent import Recurrent

INPUTS, WIDTH = 3, 5
STACKS: dict[str, Callable[[int], Recurrent]] = {
    f"{kind.__name__}-{layers}{'-skip' * skip}": partial(
        kind, hidden_size=WIDTH, num_layers=layers, skip_connection=skip
    )
    for kind in (LSTM, GRU, RNN)
    for layers in (1, 2, 3)
    for skip in (False, True)
}
SCANS: dict[str, Callable[[int], Summarizer]] = {
    f"MinGRU-{layers}{'-skip' * skip}": partial(
        MinGRU, hidden_size=WIDTH, num_layers=layers, skip_connection=skip
    )
    for layers, skip in ((1, False), (2, True))
}
LOOKS: dict[str, Callable[[int], Summarizer]] = {
    f"Transformer-{layers}-{context}": partial(
        Transformer,
        hidden_size=8,
        num_layers=layers,
        context_length=context,
        num_heads=2,
        skip_connection=layers == 2,
    )
    for layers, context in ((1, 3), (2, 4), (2, 16))
}
ALL: dict[str, Callable[[int], Summarizer]] = {"Identity": Identity, **STACKS, **SCANS, **LOOKS}


def shaken(make: Callable[[int], Summarizer]) -> Summarizer:
    """A summarizer with no weight at zero, biases included."""
    torch.manual_seed(0)
    summarizer = make(INPUTS)
    for parameter in summarizer.parameters():
        parameter.data.uniform_(-0.9, 0.9)
    return summarizer


@pytest.fixture(params=ALL)
def summarizer(request: pytest.FixtureRequest) -> Summarizer:
    return shaken(ALL[request.param])


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> Summarizer:
    return shaken(STACKS[request.param])


def state_of(summarizer: Summarizer, rows: int) -> Tensor:
    """A state (rows, S) in the middle of things."""
    state = torch.rand(rows, summarizer.state_size) * 1.6 - 0.8
    if isinstance(summarizer, Transformer):  # the first number counts the steps in its cache
        state[:, 0] = torch.randint(0, summarizer.context_length + 1, (rows,))
    return state


def step_by_step(summarizer: Summarizer, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    features = []
    for t in range(inputs.shape[1]):
        feature, state = summarizer.step(inputs[:, t], state)
        features.append(feature)
    return torch.stack(features, 1), state


def assert_close(one: object, other: object) -> None:
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_sizes_are_what_comes_out(summarizer: Summarizer) -> None:
    inputs, state = torch.randn(4, 6, INPUTS), state_of(summarizer, 4)
    features, after = summarizer.unroll(inputs, state)
    assert features.shape == (4, 6, summarizer.size)
    assert after.shape == state.shape == (4, summarizer.state_size)
    assert after.dtype == torch.float32


def test_step_by_step_is_one_unroll(summarizer: Summarizer) -> None:
    inputs, state = torch.randn(4, 9, INPUTS), state_of(summarizer, 4)
    assert_close(step_by_step(summarizer, inputs, state), summarizer.unroll(inputs, state))


def test_gradients_step_by_step_are_those_of_one_unroll(summarizer: Summarizer) -> None:
    inputs, state = torch.randn(4, 9, INPUTS, requires_grad=True), state_of(summarizer, 4)
    learned = [inputs, *summarizer.parameters()]
    ways = (step_by_step(summarizer, inputs, state), summarizer.unroll(inputs, state))
    slow, fast = (torch.autograd.grad(features.sin().sum(), learned) for features, _ in ways)
    torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-4)


def test_an_unroll_goes_on_where_another_stopped(summarizer: Summarizer) -> None:
    inputs, state = torch.randn(4, 9, INPUTS), state_of(summarizer, 4)
    features, after = summarizer.unroll(inputs, state)
    first, between = summarizer.unroll(inputs[:, :4], state)
    second, end = summarizer.unroll(inputs[:, 4:], between)
    assert_close((torch.cat((first, second), 1), end), (features, after))


def test_a_row_of_zeros_is_a_fresh_start_and_leaves_the_others(summarizer: Summarizer) -> None:
    inputs, ended = torch.randn(4, 9, INPUTS), torch.tensor([True, False, False, True])
    state = step_by_step(summarizer, inputs[:, :5], state_of(summarizer, 4))[1]
    reset = state.clone()
    reset[ended] = 0
    features, after = step_by_step(summarizer, inputs[:, 5:], reset)
    fresh = summarizer.unroll(inputs[ended, 5:], torch.zeros(2, summarizer.state_size))
    going_on = summarizer.unroll(inputs[~ended, 5:], state[~ended])
    assert_close((features[ended], after[ended]), fresh)
    assert_close((features[~ended], after[~ended]), going_on)


def test_each_copy_is_as_if_alone(summarizer: Summarizer) -> None:
    inputs, state = torch.randn(4, 9, INPUTS), state_of(summarizer, 4)
    features, after = summarizer.unroll(inputs, state)
    for i in range(4):
        alone = summarizer.unroll(inputs[i : i + 1], state[i : i + 1])
        assert_close((features[i : i + 1], after[i : i + 1]), alone)


def test_features_know_nothing_of_what_follows(summarizer: Summarizer) -> None:
    inputs, state = torch.randn(4, 9, INPUTS), state_of(summarizer, 4)
    longer = torch.cat((inputs, 1e3 * torch.randn(4, 5, INPUTS)), 1)
    assert_close(summarizer.unroll(longer, state)[0][:, :9], summarizer.unroll(inputs, state)[0])


def test_features_depend_on_the_first_input_and_on_every_part_of_the_state(
    stack: Summarizer,
) -> None:
    inputs = torch.randn(4, 5, INPUTS, requires_grad=True)
    state = state_of(stack, 4).requires_grad_()
    stack.unroll(inputs, state)[0][:, -1, :WIDTH].square().sum().backward()
    assert inputs.grad is not None and inputs.grad[:, 0].all()
    assert state.grad is not None and state.grad.all()


def test_identity_is_its_input_and_keeps_nothing() -> None:
    inputs = torch.randn(4, 5, INPUTS)
    identity = Identity(INPUTS)
    assert torch.equal(identity.unroll(inputs, torch.zeros(4, 0))[0], inputs)
    assert (identity.size, identity.state_size) == (INPUTS, 0)


def test_a_skip_connection_lays_the_input_behind_the_memory_s_output() -> None:
    inputs = torch.randn(4, 6, INPUTS)
    for kind in (LSTM, GRU, RNN):
        without, with_it = (
            shaken(partial(kind, hidden_size=WIDTH, num_layers=2, skip_connection=skip))
            for skip in (False, True)
        )
        features = with_it.unroll(inputs, torch.zeros(4, with_it.state_size))[0]
        memory = without.unroll(inputs, torch.zeros(4, without.state_size))[0]
        assert_close(features, torch.cat((memory, inputs), -1))


def test_elman_s_network_by_hand() -> None:
    network = RNN(1, hidden_size=1, skip_connection=False)
    for parameter, value in zip(network.parameters(), (0.5, -0.8, 0.1, 0.2), strict=True):
        parameter.data.fill_(value)
    feature, state = network.step(torch.tensor([[2.0]]), torch.tensor([[0.25]]))
    # tanh(0.5 · 2 - 0.8 · 0.25 + 0.1 + 0.2) = tanh 1.1
    assert feature.item() == state.item() == pytest.approx(0.8004990)


def test_an_lstm_s_state_is_output_then_cell() -> None:
    network = LSTM(1, hidden_size=1, skip_connection=False)
    for name, parameter in network.memory.named_parameters():
        parameter.data.zero_()
        if name == "bias_ih_l0":  # gates in torch's order: input, forget, candidate, output
            parameter.data.copy_(torch.tensor([20.0, 20.0, 20.0, -1.0]))
    feature, state = network.step(torch.zeros(1, 1), torch.tensor([[0.3, 0.5]]))
    # c' = 1 · 0.5 + 1 · 1;  h' = sigmoid(-1) tanh 1.5 = 0.2689414 · 0.9051483
    assert state.flatten().tolist() == pytest.approx([0.2434318, 1.5])
    assert feature.item() == state[0, 0].item()


@pytest.mark.parametrize("make", [LSTM, GRU])
def test_a_fresh_memory_forgets_as_its_bias_says(make: type[LSTM | GRU]) -> None:
    network = make(1, hidden_size=3, num_layers=2, skip_connection=False, forget_gate_bias=-1.0)
    for name, parameter in network.memory.named_parameters():
        if not name.startswith("bias_ih"):
            parameter.data.zero_()
    state = torch.rand(4, network.state_size)
    # An LSTM's c' = sigmoid(-1) c + ½ tanh 0; a GRU's h' = sigmoid(-1) h + sigmoid(1) tanh 0.
    kept = [network.split(s)[-1] for s in (state, network.step(torch.ones(4, 1), state)[1])]
    assert_close(kept[1], 0.2689414 * kept[0])


def test_a_stack_is_torch_s_own_layer_by_layer() -> None:
    for make, parts in ((LSTM, 2), (GRU, 1), (RNN, 1)):
        stack = shaken(partial(make, hidden_size=WIDTH, num_layers=2, skip_connection=False))
        inputs, state = torch.randn(4, 6, INPUTS), torch.rand(4, parts, 2, WIDTH)
        laid_out = [state[:, part].transpose(0, 1).contiguous() for part in range(parts)]
        output, after = stack.memory(inputs, tuple(laid_out) if parts > 1 else laid_out[0])
        after = torch.stack(after if parts > 1 else (after,))  # (parts, layers, B, width)
        features, flat = stack.unroll(inputs, state.flatten(1))
        assert_close(features, output)
        assert_close(flat.view(4, parts, 2, WIDTH), after.permute(2, 0, 1, 3))


def test_warming_is_stepping_for_as_long_as_each_row_says(summarizer: Summarizer) -> None:
    inputs, state = torch.randn(6, 7, INPUTS), state_of(summarizer, 6)
    lengths = torch.tensor([3, 0, 7, 1, 0, 5])
    warmed = summarizer.warm(inputs, state, lengths)
    assert_close(warmed, Summarizer.warm(summarizer, inputs, state, lengths))
    for i, length in enumerate(lengths):
        alone = state[i : i + 1]
        for t in range(int(length)):
            alone = summarizer.step(inputs[i : i + 1, t], alone)[1]
        assert_close(warmed[i : i + 1], alone)


def test_warming_reads_nothing_behind_a_row_s_length(summarizer: Summarizer) -> None:
    inputs, state = torch.randn(4, 7, INPUTS), state_of(summarizer, 4)
    lengths = torch.tensor([3, 0, 5, 1])
    expected = summarizer.warm(inputs, state, lengths)
    inputs[torch.arange(7) >= lengths[:, None]] = float("nan")
    assert_close(summarizer.warm(inputs, state, lengths), expected)
    assert_close(Summarizer.warm(summarizer, inputs, state, lengths), expected)


def test_rows_that_need_no_warming_keep_their_state_exactly(summarizer: Summarizer) -> None:
    inputs, state = torch.randn(4, 7, INPUTS), state_of(summarizer, 4)
    for warm in (type(summarizer).warm, Summarizer.warm):
        assert torch.equal(
            warm(summarizer, inputs, state, torch.zeros(4, dtype=torch.int64)), state
        )


def test_warming_takes_no_gradient(summarizer: Summarizer) -> None:
    inputs = torch.randn(4, 7, INPUTS, requires_grad=True)
    lengths = torch.tensor([3, 1, 7, 2])
    for warm in (type(summarizer).warm, Summarizer.warm):
        assert not warm(summarizer, inputs, state_of(summarizer, 4), lengths).requires_grad


@pytest.mark.parametrize("make", STACKS.values(), ids=STACKS)
def test_recurrent_weights_start_orthogonal_gate_by_gate_and_biases_at_zero(
    make: Callable[[int], Recurrent],
) -> None:
    stack = make(INPUTS)
    gates = {LSTM: 4, GRU: 3, RNN: 1}[type(stack)]
    for weights in stack.memory.all_weights:
        _, recurrent, *biases = weights
        assert recurrent.shape == (gates * WIDTH, WIDTH)
        for gate in recurrent.view(gates, WIDTH, WIDTH):
            assert_close(gate @ gate.T, torch.eye(WIDTH))
        assert not any(bias.any() for bias in biases)


def test_a_summarizer_without_an_unroll_is_not_made():
    class MemorylessPolicy(Summarizer):
        size = state_size = 1

    with pytest.raises(TypeError, match="unroll"):
        MemorylessPolicy()
