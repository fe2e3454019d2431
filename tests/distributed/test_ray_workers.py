"""Runs whose workers are on a Ray cluster."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from clusters import RUNS, outcome, processes_in, same, started, wait_for

# Ray leaves sockets and subprocesses to the garbage collector.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
WORKERS = ["--workers", "2", "--envs", "2"]
REQUESTS = ["TrainingConfig.collect_steps = 20", "TrainingConfig.staleness = 1"]


def rows(folder: Path) -> int:
    """How many rows a run has written."""
    table = folder / "progress.csv"
    return len(table.read_text().splitlines()) - 1 if table.exists() else 0


def test_a_lost_nodes_worker_goes_on_where_there_is_room(tmp_path, cluster):
    words = [*WORKERS, "--steps", 3000, "--ray", cluster.address, "--bind", *REQUESTS]
    with started(tmp_path, *words) as child:
        assert wait_for(lambda: rows(tmp_path / RUNS / "1") > 1, 120)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        cluster.add_node(num_cpus=1)
        said = child.communicate(timeout=300)[0]
    assert child.returncode == 0, said
    assert said.count("was lost (its process ended); another one begins new episodes") == 1
    run = json.loads((tmp_path / RUNS / "1" / "run.json").read_text())
    assert (run["lost_workers"], run["resume_exact"]) == (1, False)
    assert run["final"]["env_steps"] >= 3000


def test_a_run_that_is_killed_with_its_workers_goes_on_bit_for_bit(tmp_path):
    words = [*WORKERS, "--steps", 1500]
    with started(tmp_path, *words, "--results", "plain", "--bind", *REQUESTS) as plain:
        assert plain.communicate()[0] and plain.returncode == 0
    run = tmp_path / RUNS / "1"
    for more, until in (([], 3), (["--resume"], 9)):
        with started(tmp_path, *words, *more, "--bind", *REQUESTS) as child:
            assert wait_for(lambda least=until: rows(run) >= least, 120)
            training = subprocess.run(
                ["pgrep", "-P", str(child.pid)], capture_output=True, text=True, check=True
            )
            os.kill(int(training.stdout.split()[0]), signal.SIGKILL)
            said = child.communicate(timeout=30)[0]
        assert child.returncode == 137, said
        assert wait_for(lambda: not processes_in(tmp_path), 10)
    with started(tmp_path, *words, "--resume", "--bind", *REQUESTS) as child:
        said = child.communicate()[0]
    assert child.returncode == 0, said
    ours, theirs = outcome(run), outcome(tmp_path / "plain" / RUNS.relative_to("results") / "1")
    assert ours[0] == theirs[0] and same(ours[1], theirs[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_or_killed_leaves_no_worker(tmp_path, number):
    words = [*WORKERS, "--steps", 99999, "--bind", *REQUESTS]
    with started(tmp_path, *words) as child:
        assert wait_for(lambda: rows(tmp_path / RUNS / "1") > 0, 120)
        child.send_signal(number)
        child.communicate(timeout=20)
    assert child.returncode in (143, -9)
    assert wait_for(lambda: not processes_in(tmp_path), 10)
    ended = json.loads((tmp_path / RUNS / "1" / "ended.json").read_text())
    assert ended["error"] == "Stopped", "it has saved a checkpoint"
