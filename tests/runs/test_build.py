"""A run's parts from its config: what is tried out and settled before anything is written."""

from functools import partial

import gymnasium
import numpy as np
import pytest
import torch

from offpcc.algorithms import SAC, ActorCritic
from offpcc.algorithms.core import precision
from offpcc.algorithms.core.optimizer import Optimizer
from offpcc.config import bindings
from offpcc.config.bindings import compose, configured
from offpcc.config.catalog import algorithm_file
from offpcc.config.config import Config
from offpcc.data import AgentSpec, Field
from offpcc.errors import ConfigError
from offpcc.networks import LSTM
from offpcc.runs import build, env_copies
from offpcc.runs.build import Parts, likely_batch, settle_precision
from offpcc.runs.training_config import TrainingConfig

LINES = ["device = 'cpu'", "eval_episodes = 0", "buffer_size = 1_000", "update_batch_size = 16"]


def planned(algo: str, *lines: str) -> tuple[Config, Parts]:
    config = compose([algorithm_file(algo)], [*LINES, *lines])
    return config, build.build(
        config, "pendulum-img-v0" if "OffPolicy.random_shift = 1" in lines else "car-v0", seed=1
    )


@pytest.mark.parametrize(
    ("algo", "lines", "before", "steps"),
    [
        ("rsac", [], 0, 64),
        (
            "rsac",
            ["recurrent_sequence_length = 20", "burn_in = 10", "priority_alpha = 0.6"],
            10,
            20,
        ),
        ("rsac", ["recurrent_sequence_length = 20", "store_states = 7"], 6, 20),
        ("sac", ["n_step = 3"], 0, 3),
        ("sac", ["episode_filter = @threshold_filter", "threshold_filter.min_return = 9.0"], 0, 1),
        ("sac", ["OffPolicy.random_shift = 1"], 0, 1),
    ],
)
def test_a_likely_batch_has_the_shape_that_the_replay_will_give(algo, lines, before, steps) -> None:
    training = planned(algo, *lines)[1]
    agent, replay = training.agent, training.replay
    batch = likely_batch(agent, replay)
    assert batch.mask.shape == (16, steps) and batch.state.shape == (16, agent.state_size)
    assert batch.burn_in.max() <= before
    for key, field in agent.spec.observation.items():
        columns = int(batch.burn_in.max()) + steps + 1
        assert batch.observation[key].shape == (16, columns, *field.shape)
        assert str(batch.observation[key].dtype) == f"torch.{field.dtype}"
    assert (batch.weight is not None) == ("priority_alpha = 0.6" in lines)
    assert len(replay) == 0
    assert agent.update(batch).metrics["skipped"] == 0


@pytest.mark.parametrize(("slowdown", "wanted"), [(0.5, "bf16"), (1.5, "fp32")])
def test_a_settled_config_names_the_precision_in_use(monkeypatch, slowdown, wanted) -> None:
    monkeypatch.setattr(precision, "bf16_slowdown", lambda agent, batch: slowdown)
    asked, training = planned("rsac", "precision = 'auto'")
    config, result = settle_precision(asked, training)
    assert isinstance(training.agent, SAC) and training.agent.precision == wanted
    assert config.values["SAC.precision"] == wanted
    assert f"precision = '{wanted}'\n" in config.text()
    assert config.text() == asked.text().replace("'auto'", f"'{wanted}'")
    assert result.startswith(f", in {wanted} (an update in bf16 takes {slowdown} times as long")


def test_a_precision_that_is_bound_without_a_macro_is_settled_too(monkeypatch) -> None:
    monkeypatch.setattr(precision, "bf16_slowdown", lambda agent, batch: 1.5)
    asked, training = planned("sac", "SAC.precision = 'auto'")
    config, _ = settle_precision(asked, training)
    assert "SAC.precision = 'fp32'\n" in config.text()


def test_fp32_is_settled_without_a_trial_or_a_word(monkeypatch) -> None:
    monkeypatch.setattr(precision, "bf16_slowdown", None)
    for algo in ("rsac", "lstm_ppo"):
        config = compose([algorithm_file(algo)], LINES[:2])
        training = build.build(config, "pendulum-p-v0", seed=1)
        assert settle_precision(config, training) == (config, "")


# What would not fit into memory

SPEC = AgentSpec({"observation": Field((3,))}, 1)


def recipe(algo: str, *lines: str) -> TrainingConfig:
    bindings.give(bindings.compose([algorithm_file(algo)], lines))
    made: TrainingConfig = configured(TrainingConfig)()
    return made


def check(algo: str, *lines: str) -> None:
    config = bindings.compose([algorithm_file(algo)], lines)
    build._refuse_large_networks(config, recipe(algo, *lines), SPEC, "cpu")


def held(agent: ActorCritic) -> int:
    """Bytes that a real agent holds after a step of its optimizer, and those of an acting copy."""
    weights = {id(w): w for part in agent.parts().values() if isinstance(part, torch.nn.Module)
               for w in (*part.parameters(), *part.buffers())}  # fmt: skip
    tensors = [part for part in agent.parts().values() if isinstance(part, torch.Tensor)]
    size = sum(each.nbytes for each in (*weights.values(), *tensors))
    for optimizer in agent.parts().values():
        if isinstance(optimizer, Optimizer):
            size += sum(each.nbytes for each in stepped(optimizer))
    return size + sum(each.nbytes for each in agent.acting_copy(0).policy.parameters())


def stepped(optimizer: Optimizer) -> list[torch.Tensor]:
    """All gradients, and Adam's moments after a step."""
    weights = [weight for group in optimizer.groups for weight in group.parameters]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    optimizer.adam.step()
    moments = [s[k] for s in optimizer.adam.state.values() for k in ("exp_avg", "exp_avg_sq")]
    return [*(weight.grad for weight in weights), *moments]


@pytest.mark.parametrize("algo", ["sac", "rsac", "ppo", "lstm_d2ac", "amp"])
def test_an_agent_is_measured_without_being_there(algo: str) -> None:
    asked = recipe(algo, "hidden_sizes = (32, 16)")
    with torch.device("meta"):
        measured = asked.make_agent(SPEC, 0, "meta")
    assert all(weight.is_meta for weight in measured.policy.parameters())
    assert measured.nbytes == held(asked.make_agent(SPEC, 0, "cpu"))


@pytest.mark.parametrize(
    ("algo", "lines"),
    [
        ("rsac", ("memory_hidden_size = 1_000_000",)),
        ("sac", ("hidden_sizes = (1_000_000, 1_000_000)",)),
        ("rtqc", ("memory_num_layers = 1_000", "memory_hidden_size = 100_000")),
        ("lstm_ppo", ("memory_hidden_size = 1_000_000",)),
        ("sb3_td3", ("hidden_sizes = (1_000_000, 1_000_000)",)),
        ("sb3_recurrent_ppo", ("memory_hidden_size = 1_000_000",)),
    ],
)
def test_networks_larger_than_memory_are_refused(algo: str, lines: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"the networks .* take [\d.]+ GB and .* are free; lower"):
        check(algo, *lines)


def test_a_baselines_replay_larger_than_memory_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"the largest SB3SAC.buffer_size that fits is [\d_]+"):
        check("sb3_sac", "buffer_size = 1_000_000_000_000")


def test_the_states_of_all_copies_count() -> None:
    few, many = (
        build._agent_bytes(recipe("rsac", "memory_hidden_size = 64", f"num_envs = {n}"), SPEC)
        for n in (1, 1_001)
    )
    assert many - few == 4 * 1_000 * 2 * 64


@pytest.mark.parametrize("algo", ["rsac", "lstm_ppo", "drsac", "sb3_sac", "sb3_recurrent_ppo"])
def test_what_fits_is_taken(algo: str) -> None:
    if algo == "drsac":
        spec = AgentSpec(SPEC.observation, 2, (2,))
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


def test_copies_larger_than_memory_are_refused_by_the_first_few(monkeypatch) -> None:
    gymnasium.register("heavy-v0", entry_point=Heavy)
    recipe("sac")
    monkeypatch.setattr("offpcc.processes.ram_limit.free_bytes", lambda: 5 * 10**8)
    # Not the process's own: that does not grow where earlier tests have left memory free.
    monkeypatch.setattr(env_copies, "resident_bytes", lambda: 8 * 10**6 * Heavy.made)
    with pytest.raises(ConfigError, match=r"999 copies of the environment take 8.0 GB and 0.5 GB"):
        env_copies.build_copies("heavy-v0", 1_000)
    assert Heavy.made < 20
    assert len(env_copies.build_copies("heavy-v0", 12)) == 12
