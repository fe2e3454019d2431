"""A run's parts from its config: what is tried out and settled before anything is written."""

import pytest

import domains  # noqa: F401 - registers the ids
from offpcc.algorithms import SAC, precision
from offpcc.bindings import compose
from offpcc.build import build, likely_batch, settle_precision
from offpcc.catalog import algorithm_file
from offpcc.config import Config
from offpcc.train import Training

LINES = ["device = 'cpu'", "evaluation_episodes = 0", "capacity = 1_000", "windows = 16"]


def planned(algo: str, *lines: str) -> tuple[Config, Training]:
    config = compose([algorithm_file(algo)], [*LINES, *lines])
    return config, build(config, "pendulum-img-v0" if "shift = 1" in lines else "car-v0", seed=1)


@pytest.mark.parametrize(
    ("algo", "lines", "before", "steps"),
    [
        ("rsac", [], 0, 64),
        ("rsac", ["memory_segment = 20", "burn_in = 10", "priority = 0.6"], 10, 20),
        ("rsac", ["memory_segment = 20", "store_states = 7"], 6, 20),
        ("sac", ["n_step = 3"], 0, 3),
        ("sac", ["shift = 1"], 0, 1),
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
    assert ("weight" in batch.notes) == ("priority = 0.6" in lines)
    assert len(replay) == 0
    assert agent.update(batch)["skipped"] == 0


@pytest.mark.parametrize(("slowdown", "wanted"), [(0.5, "bf16"), (1.5, "fp32")])
def test_a_settled_config_names_the_precision_in_use(monkeypatch, slowdown, wanted) -> None:
    monkeypatch.setattr(precision, "bf16_slowdown", lambda agent, batch: slowdown)
    asked, training = planned("rsac", "precision = 'auto'")
    config, told = settle_precision(asked, training)
    assert isinstance(training.agent, SAC) and training.agent.precision == wanted
    assert config.values["SAC.precision"] == wanted
    assert f"precision = '{wanted}'\n" in config.text()
    assert config.text() == asked.text().replace("'auto'", f"'{wanted}'")
    assert told.startswith(f", in {wanted} (an update in bf16 takes {slowdown} times as long")


def test_a_precision_that_is_bound_without_a_macro_is_settled_too(monkeypatch) -> None:
    monkeypatch.setattr(precision, "bf16_slowdown", lambda agent, batch: 1.5)
    asked, training = planned("sac", "SAC.precision = 'auto'")
    config, _ = settle_precision(asked, training)
    assert "SAC.precision = 'fp32'\n" in config.text()


def test_fp32_is_settled_without_a_trial_or_a_word(monkeypatch) -> None:
    monkeypatch.setattr(precision, "bf16_slowdown", None)
    for algo in ("rsac", "lstm_ppo"):
        config = compose([algorithm_file(algo)], LINES[:2])
        training = build(config, "pendulum-p-v0", seed=1)
        assert settle_precision(config, training) == (config, "")
