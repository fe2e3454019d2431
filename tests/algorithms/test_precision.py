"""Which precision an agent gets that asks for bf16, or for the faster of both."""

from functools import partial
from typing import Any

import pytest
import torch
from toys import SPEC, make_batch, weights

from offpcc.algorithms import SAC
from offpcc.algorithms.core import precision
from offpcc.algorithms.core.precision import HOPELESS, SHARES, bf16_slowdown, resolve_precision
from offpcc.networks import LSTM

ROWS = 128


class Odd(LSTM):
    """A memory whose passes take longer in one precision, by its own clock, or fail in bf16."""

    clock = 0.0  # seconds
    slow = ""  # the precision that takes longer
    missing = False
    rows: tuple[list[int], list[int]] = ([], [])  # of each pass, in fp32 and in bf16

    def unroll(self, inputs: torch.Tensor, state: torch.Tensor) -> Any:
        rough = torch.is_autocast_enabled("cpu")
        self.rows[rough].append(len(inputs))
        if rough and self.missing:
            raise RuntimeError("could not create a primitive for the LSTM. Run with ONEDNN_VERBOSE")
        Odd.clock += 3 if self.slow == ("bf16" if rough else "fp32") else 1
        with torch.autocast("cpu", enabled=False):
            return super().unroll(inputs.float(), state)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "process_time", lambda: Odd.clock)


def odd(asked: str, **settings: Any) -> SAC:
    """An agent with such a memory."""
    kind = type("Odd", (Odd,), settings | {"rows": ([], [])})
    return SAC(SPEC, summarizer=partial(kind, hidden_size=4), hidden_sizes=(4,), precision=asked)


def batch_for(agent: SAC) -> Any:
    return make_batch([3] * ROWS, state_size=agent.state_size)


def test_auto_is_fp32_where_a_layer_has_no_bf16() -> None:
    agent = odd("auto", missing=True)
    why = resolve_precision(agent, batch_for(agent))
    assert agent.precision == "fp32"
    assert why.startswith("fp32 (bf16 is not available on cpu (")
    assert why.endswith("): could not create a primitive for the LSTM)")


def test_bf16_that_a_layer_does_not_have_is_refused_with_the_way_out() -> None:
    agent = odd("bf16", missing=True)
    with pytest.raises(ValueError, match=r"'bf16', but .* on cpu \(.*; use fp32 or auto$") as error:
        resolve_precision(agent, batch_for(agent))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("slow", "faster", "times"), [("fp32", "bf16", "0.33"), ("bf16", "fp32", "over 3")]
)
def test_auto_is_the_faster_and_says_by_how_much(slow, faster, times) -> None:
    agent = odd("auto", slow=slow)
    why = resolve_precision(agent, batch_for(agent))
    assert agent.precision == faster
    assert why.startswith(f"{faster} (an update in bf16 takes {times} times as long")


def test_bf16_that_is_asked_for_is_used_even_if_it_is_slower() -> None:
    agent = odd("bf16", slow="bf16")
    assert "over " in resolve_precision(agent, batch_for(agent))
    assert agent.precision == "bf16"


@pytest.mark.parametrize(("slow", "largest"), [("bf16", ROWS // SHARES[0]), ("fp32", ROWS)])
def test_a_whole_batch_is_tried_only_where_a_part_of_it_is_not_hopeless(slow, largest) -> None:
    agent = odd("auto", slow=slow)
    bf16_slowdown(agent, batch_for(agent))
    assert max(agent.policy.memory.summarizer.rows[True]) == largest


def test_a_part_of_a_batch_has_its_longest_burn_in() -> None:
    agent = odd("auto", slow="bf16")
    lengths = [3] * ROWS
    burn_in = [0] * (ROWS - 1) + [5]
    bf16_slowdown(agent, make_batch(lengths, state_size=agent.state_size, burn_in=burn_in))


@pytest.mark.parametrize(
    ("before", "slowdown", "wanted"),
    [
        ("fp32", 0.5, "fp32"),
        ("bf16", HOPELESS - 0.1, "bf16"),
        ("bf16", HOPELESS + 0.1, "fp32"),
        (None, HOPELESS - 0.1, "fp32"),
    ],
)
def test_auto_keeps_what_a_resumed_run_has_had(monkeypatch, before, slowdown, wanted) -> None:
    monkeypatch.setattr(precision, "bf16_slowdown", lambda agent, batch: slowdown)
    agent = odd("auto")
    resolve_precision(agent, batch_for(agent), before)
    assert agent.precision == wanted


def test_fp32_is_not_tried_at_all() -> None:
    agent = odd("fp32")
    assert resolve_precision(agent, batch_for(agent)) == "fp32"
    assert agent.policy.memory.summarizer.rows == ([], [])


def test_trying_leaves_the_agent_and_all_generators_as_they_were() -> None:
    agent = odd("auto", slow="bf16")
    before, own = weights(agent), agent.generator.get_state()
    common, steps = torch.get_rng_state(), agent.optimizer.steps
    torch.set_num_threads(2)
    resolve_precision(agent, batch_for(agent))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert threads == 2
    assert all(torch.equal(before[name], weight) for name, weight in weights(agent).items())
    assert torch.equal(own, agent.generator.get_state())
    assert torch.equal(common, torch.get_rng_state())
    assert steps == agent.optimizer.steps


def test_by_hand_auto_is_resolved_at_the_first_update() -> None:
    plain, agent = odd("fp32"), odd("auto", missing=True)
    for each in (plain, agent):
        each.update(batch_for(each))
    assert agent.precision == "fp32"
    found = weights(agent)
    assert all(torch.equal(found[name], weight) for name, weight in weights(plain).items())
