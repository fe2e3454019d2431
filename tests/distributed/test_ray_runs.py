"""Runs on a Ray cluster: one that this machine simulates, and the errors of one line."""

import json
import signal
import sys
from pathlib import Path

import psutil
import pytest
from clusters import RSAC, RUNS, outcome, processes_in, same, started, wait_for

from offpcc.cli.main import main
from offpcc.distributed import node_check as checks
from offpcc.distributed.node_check import NodeCheck, node_check
from offpcc.runs.ray_starter import threads

# Ray leaves sockets and subprocesses to the garbage collector.
pytestmark = [
    pytest.mark.timeout(600),  # a slow processor may take minutes to start Ray
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_runs_are_trained_by_ray_on_this_machine(tmp_path):
    with started(tmp_path, "--run_id", "a", "b", "--ray", "local") as child:
        said = child.communicate()[0]
    assert child.returncode == 0, said
    assert "pendulum-p-v0/rsac/b: on node " in said and "(raylet)" not in said
    for run_id in "ab":
        assert f"rsac/{run_id}: {RUNS}/{run_id}: 250 steps in " in said
    assert not list((tmp_path / "results").glob(".ray-*"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_runs_of_a_lost_node_go_on_elsewhere_with_the_same_bits(tmp_path, cluster):
    names = ["--run_id", "a", "b", "c", "d", "--steps", 1000]
    with started(tmp_path, *names, "--jobs", "1", "--results", "plain") as plain:
        assert plain.communicate()[0] and plain.returncode == 0
    said, lost = "", False
    with started(tmp_path, *names, "--ray", cluster.address) as child:
        assert child.stdout
        for line in child.stdout:
            said += line
            if not lost and "rsac/b: 240 / 1000" in said and "rsac/a: 240 / 1000" in said:
                cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
                lost = True
        assert child.wait() == 0, said
    assert said.count("its machine was lost; it is queued again") == 1
    assert said.count(": goes on at step ") == 1
    for run_id in "abcd":
        ours = outcome(tmp_path / RUNS / run_id)
        theirs = outcome(tmp_path / "plain" / RUNS.relative_to("results") / run_id)
        assert ours[0] == theirs[0] and same(ours[1], theirs[1])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_driver_that_is_stopped_or_killed_leaves_checkpoints_and_no_process(
    tmp_path, cluster, number
):
    saved = [tmp_path / RUNS / run_id / "checkpoints" for run_id in "ab"]
    words = ["--run_id", "a", "b", "c", "--steps", 99999, "--ray", cluster.address]
    with started(tmp_path, *words) as child:
        assert wait_for(lambda: all(len([*each.glob("step-*")]) > 1 for each in saved), 60)
        assert len(processes_in(tmp_path)) > 6
        child.send_signal(number)
        said = child.communicate(timeout=10)[0]
    assert child.returncode == (-9 if number == signal.SIGKILL else 128 + number), said
    assert wait_for(lambda: not processes_in(tmp_path), 10)
    for each in saved:
        assert json.loads((each.parent / "ended.json").read_text())["error"] == "Stopped"
    if number != signal.SIGKILL:
        line = f"launch.py: stopped by {number.name}; continue with --resume\n"
        assert said.endswith(f"not begun: pendulum-p-v0/rsac/c\n{line}")


@pytest.mark.slow
def test_a_driver_that_is_killed_leaves_nothing_of_the_ray_that_it_started(tmp_path):
    saved = tmp_path / RUNS / "a" / "checkpoints"
    with started(tmp_path, "--run_id", "a", "b", "--steps", 99999, "--ray", "local") as child:
        assert wait_for(lambda: len([*saved.glob("step-*")]) > 1, 120)
        processes = psutil.Process(child.pid).children(recursive=True)
        assert {"raylet", "ray::DashboardAgent"} <= {process.name() for process in processes}
        child.kill()
    assert wait_for(lambda: not any(process.is_running() for process in processes), 10)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--ray", "127.0.0.1:1"], "--ray 127.0.0.1:1: no answer from 127.0.0.1:1 "),
        (["--ray", "node:port"], "--ray node:port: it is written HOST:PORT, auto or local"),
        (["--ray", "ray://node:10001"], "--ray ray://node:10001: the command has to run on a node"),
        (["--ray"], "--ray: this machine belongs to no Ray cluster; start one by `ray start"),
        (["--ray", "--render"], "--ray is for training"),
    ],
)
def test_an_address_where_no_run_can_be_is_a_line(tmp_path, monkeypatch, capsys, words, complaint):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main([*RSAC, *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and complaint in said
    assert not list(tmp_path.iterdir())


def test_a_search_is_for_one_machine(capsys):
    assert main(["--tune", "pendulum-p", "--ray"]) == 2
    assert "--ray does not go with --tune; trials run on one machine" in capsys.readouterr().err


def test_without_ray_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "offpcc.distributed.cluster")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*RSAC, "--ray"]) == 2
    assert capsys.readouterr().err.endswith(": ray is not installed: pip install 'offpcc[ray]'\n")


def test_a_node_needs_the_drivers_folders_and_its_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "PATIENCE", 0.0)
    monkeypatch.setattr(checks, "commit", lambda: "there-dirty")
    monkeypatch.chdir(tmp_path)
    with node_check("results") as check:
        assert check() and Path.cwd() == tmp_path
        facts = vars(check)
        for other, complaint in (
            ({"folder": "/nowhere"}, "has no folder /nowhere"),
            ({"token": f"{check.token}x"}, f"does not share {tmp_path}/results"),
            ({"version": "0.0"}, "has offpcc .*, not 0.0 as here"),
            ({"commit": "abc"}, "has commit there-dirty of offpcc, not abc"),
            ({"commit": "there"}, "has commit there-dirty of offpcc, not there"),
        ):
            with pytest.raises(ValueError, match=f"node .* {complaint}"):
                NodeCheck(**{**facts, **other})()
        assert NodeCheck(**{**facts, "commit": "there"})(strict=False), "a page was edited"
        assert NodeCheck(**{**facts, "commit": None})(), "git did not answer"
    with pytest.raises(ValueError, match="does not share"):
        check()


@pytest.mark.parametrize(
    ("cpus", "jobs", "most"), [([4, 4, 4], 4, 2), ([4, 4, 4], 3, 4), ([16], 5, 3), ([2], 9, 1)]
)
def test_jobs_have_the_most_threads_that_still_find_places(cpus, jobs, most):
    assert threads(cpus, jobs) == most
