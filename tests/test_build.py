"""Building a run: what would not fit into memory is refused before it is there."""

from functools import partial

import gymnasium
import numpy as np
import pytest
import torch

from offpcc import bindings, build
from offpcc.algorithms import SAC, ActorCritic
from offpcc.bindings import configured
from offpcc.catalog import algorithm_file
from offpcc.data import Field, Spec
from offpcc.faults import ConfigError
from offpcc.networks import LSTM
from offpcc.recipe import Recipe

SPEC = Spec({"observation": Field((3,))}, 1)


def recipe(algo: str, *lines: str) -> Recipe:
    bindings.give(bindings.compose([algorithm_file(algo)], lines))
    made: Recipe = configured(Recipe)()
    return made


def check(algo: str, *lines: str) -> None:
    config = bindings.compose([algorithm_file(algo)], lines)
    build._refuse_large_networks(config, recipe(algo, *lines), SPEC, "cpu")


def held(agent: ActorCritic) -> int:
    """Bytes that a real agent holds after a step of its optimiser, and those of an acting copy."""
    weights = {id(w): w for part in agent.parts().values() if isinstance(part, torch.nn.Module)
               for w in (*part.parameters(), *part.buffers())}  # fmt: skip
    size = sum(weight.nbytes for weight in weights.values()) + agent.log_temperature.nbytes
    for group in agent.optimiser.groups:
        for weight in group.parameters:
            weight.grad = torch.zeros_like(weight)
            size += weight.grad.nbytes
    agent.optimiser.adam.step()
    moments = [s[k] for s in agent.optimiser.adam.state.values() for k in ("exp_avg", "exp_avg_sq")]
    copy = agent.acting_copy(0).policy
    return size + sum(each.nbytes for each in (*moments, *copy.parameters()))


@pytest.mark.parametrize("algo", ["sac", "rsac"])
def test_an_agent_is_measured_without_being_there(algo: str) -> None:
    asked = recipe(algo, "hidden = (32, 16)")
    with torch.device("meta"):
        measured = build.build_agent(asked, SPEC, 0, "meta")
    assert all(weight.is_meta for weight in measured.policy.parameters())
    assert measured.nbytes == held(build.build_agent(asked, SPEC, 0, "cpu"))


@pytest.mark.parametrize(
    ("algo", "lines"),
    [
        ("rsac", ("width = 1_000_000",)),
        ("sac", ("hidden = (1_000_000, 1_000_000)",)),
        ("rtqc", ("layers = 1_000", "width = 100_000")),
        ("lstm_ppo", ("width = 1_000_000",)),
        ("sb3_td3", ("hidden = (1_000_000, 1_000_000)",)),
        ("sb3_recurrent_ppo", ("width = 1_000_000",)),
    ],
)
def test_networks_larger_than_memory_are_refused(algo: str, lines: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"the networks .* take [\d.]+ GB and .* are free; lower"):
        check(algo, *lines)


def test_a_baselines_replay_larger_than_memory_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"the largest SB3SAC.capacity that fits is [\d_]+"):
        check("sb3_sac", "capacity = 1_000_000_000_000")


def test_the_states_of_all_copies_count() -> None:
    few, many = (
        build._agent_bytes(recipe("rsac", "width = 64", f"copies = {n}"), SPEC) for n in (1, 1_001)
    )
    assert many - few == 4 * 1_000 * 2 * 64


@pytest.mark.parametrize("algo", ["rsac", "lstm_ppo", "drsac", "sb3_sac", "sb3_recurrent_ppo"])
def test_what_fits_is_taken(algo: str) -> None:
    if algo == "drsac":
        spec = Spec(SPEC.observation, 2, (2,))
        assert build._agent_bytes(recipe(algo), spec) > 0
    else:
        check(algo)


def test_a_network_that_needs_numbers_to_be_made_is_not_measured() -> None:
    class Needy(LSTM):
        def __init__(self, inputs: int) -> None:
            super().__init__(inputs)
            self.scale = self.memory.weight_hh_l0.sum().item()

    asked = recipe("rsac")
    asked.agent = SAC
    known = build._agent_bytes(asked, SPEC)
    asked.agent = partial(SAC, summarizer=Needy)
    assert known > 0 and build._agent_bytes(asked, SPEC) == 0


class Heavy(gymnasium.Env):
    """Eight megabytes each."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    made = 0

    def __init__(self) -> None:
        Heavy.made += 1
        self.weight = np.ones(10**6)


def test_copies_larger_than_memory_are_refused_by_the_first_few(monkeypatch) -> None:
    gymnasium.register("heavy-v0", entry_point=Heavy)
    recipe("sac")
    monkeypatch.setattr("offpcc.room.free_bytes", lambda: 5 * 10**8)
    with pytest.raises(
        ConfigError, match=r"999 copies of the environment take [78].\d GB and 0.5 GB"
    ):
        build.build_copies("heavy-v0", 1_000)
    assert Heavy.made < 20
    assert len(build.build_copies("heavy-v0", 12)) == 12
