from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from offpcc.data import AgentSpec, Field
from offpcc.networks import GRU, LSTM, RNN, Encoder, Identity, Memory, Summarizer

SPEC = AgentSpec({"place": Field((2, 2)), "goal": Field((1,))}, 1)
KINDS: dict[str, Callable[[int], Summarizer]] = {
    "Identity": Identity,
    "LSTM": partial(LSTM, hidden_size=5, num_layers=2),
    "GRU": partial(GRU, hidden_size=5, skip_connection=False),
    "RNN": partial(RNN, hidden_size=5),
}
WARM_UP = torch.tensor([3, 0, 5, 1])
WINDOW = 4


@pytest.fixture(params=KINDS)
def memory(request: pytest.FixtureRequest) -> Memory:
    memory = Memory(Encoder(SPEC, embedding_size=6), KINDS[request.param])
    for parameter in memory.parameters():
        parameter.data.uniform_(-0.9, 0.9)
    return memory


def observed(rows: int, steps: int) -> dict[str, Tensor]:
    return {k: torch.randn(rows, steps, *f.shape) for k, f in SPEC.observation.items()}


def batch(beside: float = 0.0) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
    """Rows of a batch, `beside` standing where no row looks, and each row's history in one."""
    histories = [observed(1, int(before) + WINDOW) for before in WARM_UP]
    columns = int(WARM_UP.max())
    rows = {
        k: torch.full((4, columns + WINDOW, *f.shape), beside) for k, f in SPEC.observation.items()
    }
    for i, (history, before) in enumerate(zip(histories, WARM_UP, strict=True)):
        for key, values in history.items():
            rows[key][i, :before] = values[0, :before]
            rows[key][i, columns:] = values[0, before:]
    return rows, histories


def state_of(memory: Memory) -> Tensor:
    return torch.rand(4, memory.state_size) - 0.5


def assert_close(one: object, other: object) -> None:
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_a_warmed_window_is_the_end_of_the_whole_history_s_unroll(memory: Memory) -> None:
    rows, histories = batch()
    state = state_of(memory)
    features, after = memory.unroll(rows, state, WARM_UP)
    for i, history in enumerate(histories):
        whole, end = memory.unroll(history, state[i : i + 1])
        assert_close(features[i], whole[0, -WINDOW:])
        assert_close(after[i], end[0])


def test_what_stands_behind_a_row_s_burn_in_is_never_read(memory: Memory) -> None:
    rows, _ = batch(beside=float("nan"))
    features, after = memory.unroll(rows, state_of(memory), WARM_UP)
    assert features.isfinite().all()
    assert after.isfinite().all()


def test_no_gradient_reaches_what_warmed_the_memory(memory: Memory) -> None:
    rows, _ = batch()
    for values in rows.values():
        values.requires_grad_()
    state = state_of(memory).requires_grad_()
    memory.unroll(rows, state, WARM_UP)[0].square().sum().backward()
    columns = int(WARM_UP.max())
    for values in rows.values():
        assert values.grad is not None
        assert not values.grad[:, :columns].any()
        assert values.grad[:, columns:].flatten(1).any(1).all()


def test_weights_learn_from_the_window_alone(memory: Memory) -> None:
    rows, _ = batch()
    state, columns = state_of(memory), int(WARM_UP.max())
    memory.unroll(rows, state, WARM_UP)[0].square().sum().backward()
    learned = [parameter.grad for parameter in memory.parameters()]
    memory.zero_grad()
    with torch.no_grad():
        past = memory.encoder({k: v[:, :columns] for k, v in rows.items()})
        warmed = memory.summarizer.warm(past, state, WARM_UP)
    memory.unroll({k: v[:, columns:] for k, v in rows.items()}, warmed)[0].square().sum().backward()
    assert_close(learned, [parameter.grad for parameter in memory.parameters()])


@pytest.mark.parametrize("burn_in", [None, torch.zeros(4, dtype=torch.int64)])
def test_without_a_burn_in_the_window_begins_at_the_first_column(
    memory: Memory, burn_in: Tensor | None
) -> None:
    rows, state = observed(4, WINDOW), state_of(memory)
    expected = memory.summarizer.unroll(memory.encoder(rows), state)
    assert_close(memory.unroll(rows, state, burn_in), expected)


def test_acting_step_by_step_is_one_unroll(memory: Memory) -> None:
    rows, state = observed(4, 6), state_of(memory)
    features, after = memory.unroll(rows, state)
    for t in range(6):
        feature, state = memory.step({k: v[:, t] for k, v in rows.items()}, state)
        assert_close(feature, features[:, t])
    assert_close(state, after)


@pytest.mark.parametrize("padding", [0, 1, 9])
def test_neither_length_nor_content_of_padding_changes_anything(
    memory: Memory, padding: int
) -> None:
    real, state = observed(4, WINDOW), state_of(memory)
    padded = {
        k: torch.cat((v, 50 * observed(4, padding)[k]), 1).requires_grad_() for k, v in real.items()
    }
    gradients = []
    for rows in (real, padded):
        memory.zero_grad()
        features = memory.unroll(rows, state)[0]
        mask = (torch.arange(features.shape[1]) < WINDOW).float()
        (features.square().sum(-1) * mask).sum().backward()
        gradients.append([features[:, :WINDOW].detach(), *(p.grad for p in memory.parameters())])
    for alone, beside in zip(*gradients, strict=True):
        torch.testing.assert_close(beside, alone, atol=1e-4, rtol=1e-4)
    for values in padded.values():
        assert values.grad is not None
        assert not values.grad[:, WINDOW:].any()


def test_the_order_of_rows_changes_nothing(memory: Memory) -> None:
    rows, _ = batch()
    state, order = state_of(memory), torch.tensor([2, 0, 3, 1])
    features, after = memory.unroll(rows, state, WARM_UP)
    shuffled = memory.unroll({k: v[order] for k, v in rows.items()}, state[order], WARM_UP[order])
    assert_close(shuffled, (features[order], after[order]))
