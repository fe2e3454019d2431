import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from offpcc.compare.plot.runs import Run, find_runs

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TASK = "pendulum-p-v0"


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("skrl_peers")


def run(algo: str, seed: int, last: float, env: str = TASK) -> Run:
    """Ten evaluations, of which the last alone is the score."""
    columns = {
        "env_steps": np.arange(1.0, 11.0) * 2_000,
        "updates": np.arange(1.0, 11.0) * 500,
        "test_return": np.array([*[-1_000.0] * 9, last]),
        "seconds": np.arange(1.0, 11.0) * 60,
    }
    return Run(env, algo, str(seed), columns)


def test_their_runs_stand_above_ours_of_the_same_task_and_seeds(peers: ModuleType) -> None:
    theirs = [run("skrl_sac_rnn", 1, -200.0), run("skrl_sac_rnn", 2, -300.0)]
    ours = [run("rsac", 1, -150.0), run("rsac", 2, -160.0), run("rsac", 3, -900.0)]
    others = [run("lstm_ppo", 1, -170.0), run("rsac", 1, -170.0, "pendulum-v-v0")]
    _, _, *lines = peers.scores(
        [run("rsac, 20 × 40", 1, -170.0), *theirs], ours + others
    ).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line]
    assert cells == [
        [TASK, "rsac, 20 × 40", "1", "-170.0", "-170.0", "20,000", "5,000", "10"],
        [TASK, "skrl_sac_rnn", "2", "-250.0 ± 50.0", "-200.0, -300.0", "20,000", "5,000", "10"],
        [TASK, "rsac", "2", "-155.0 ± 5.0", "-150.0, -160.0", "20,000", "5,000", "10"],
    ]


@pytest.mark.parametrize(("peer", "length"), [("sac_rnn", 40), ("ppo_rnn", 64)])
def test_settings_are_those_of_our_recipe(peers: ModuleType, peer: str, length: int) -> None:
    settings = peers.settings_of(peers.recipe(TASK, peer), peer)
    assert settings["steps"] == {"sac_rnn": 20_000, "ppo_rnn": 100_000}[peer]
    assert settings["discount"] == {"sac_rnn": 0.99, "ppo_rnn": 0.9}[peer]
    assert (settings["episodes"], settings["sequence_length"]) == (100, length)


@pytest.mark.slow
@pytest.mark.parametrize(("peer", "updates"), [("sac_rnn", 5), ("ppo_rnn", 16)])
def test_their_agents_update_and_leave_rows_like_ours(
    peers: ModuleType, tmp_path: Path, peer: str, updates: int
) -> None:
    pytest.importorskip("skrl", reason="it needs skrl; pip install 'offpcc[peers]'")
    few = {"episodes": 2, "steps": 420, "learning_starts": 400, "eval_interval": 420}
    if peer == "ppo_rnn":
        few |= {"steps": 512, "rollout_steps": 64, "sequence_length": 32, "num_epochs": 8}
    peers.train(TASK, peer, 1, few, tmp_path)
    (found,) = find_runs([tmp_path])
    assert (found.algo, found.run_id, found.eval_episodes) == (f"skrl_{peer}", "1", 2)
    assert found.end("updates") == updates
    assert np.isfinite(found.final_return())
