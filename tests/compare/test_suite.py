"""Suites: what a file may say, what runs it comes to, what is trained of it, and its report."""

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from children import launch, tiny
from test_launch import ODD

from offpcc.cli.main import main
from offpcc.compare.archived_rows import have_rows, keep_rows, rows_of
from offpcc.compare.report import scoring_note
from offpcc.compare.suite import read_suite
from offpcc.compare.train import refuse_others
from offpcc.config.bindings import compose
from offpcc.config.catalog import algorithms, suites
from offpcc.errors import ConfigError
from offpcc.runs import jobs

SMOKE = Path(__file__).parents[1] / "smoke.toml"
ENTRY = 'env = "pendulum-v0"\nalgos = ["sac", "rsac"]\nseeds = 2\nsteps = 100\n'


def write(folder: Path, entry: str = ENTRY, above: str = "", below: str = "") -> str:
    """A suite of one entry, with more lines above or below it."""
    path = folder / "mine.toml"
    path.write_text(f'question = "?"\n{above}\n[[entries]]\n{entry}{below}\n')
    return str(path)


# Files


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ({"above": 'qestion = "?"'}, "unknown key 'qestion'; did you mean question"),
        ({"above": 'name = "x"'}, "unknown key 'name'"),
        ({"above": 'at = "hours"'}, "at is 'hours'; it is 'steps' or 'time'"),
        ({"above": 'pairs = [["sac"]]'}, "pairs are of two lines each"),
        ({"above": 'pairs = [["sac", "tqc"]]'}, "pairs: no line is 'tqc'; there are rsac, sac"),
        ({"above": 'aims = {"pendulm-v0" = 1}'}, "aims: no task is 'pendulm-v0'; did you mean"),
        ({"above": 'aims = {"pendulum-v0" = "1"}'}, "aims are returns by task"),
        ({"above": "pairs = 3"}, "pairs is 3, which is not a list of"),
        ({"below": "stps = 3"}, "entry 1: unknown key 'stps'; did you mean steps"),
        ({"below": "steps = 3"}, "Cannot overwrite a value"),
        ({"entry": 'env = "pendulum-v0"\nalgos = ["sac"]\nseeds = 2'}, "entry 1: steps is missing"),
        ({"entry": ENTRY.replace("100", "1e3")}, "steps is 1000.0, which is not .*; write 1_000"),
        ({"entry": ENTRY.replace("100", "0")}, "entry 1: steps is 0; it must be at least 1"),
        ({"entry": ENTRY.replace("= 2", "= 0")}, "entry 1: seeds must be one at least"),
        (
            {"entry": ENTRY.replace("= 2", "= [1, 1]")},
            "entry 1: seeds must be one at least, and no",
        ),
        ({"entry": ENTRY.replace('["sac", "rsac"]', '"sac"')}, "algos is 'sac', which is not a l"),
        ({"entry": ENTRY.replace("rsac", "rsak")}, "entry 1: unknown algorithm 'rsak'; did you me"),
        ({"entry": ENTRY.replace("pendulum", "pendulm")}, "entry 1: unknown environment 'pendulm-"),
        ({"below": 'label = "x"'}, "entry 1: label 'x' is for one algorithm, not 2"),
        ({"below": 'task = "a/b"'}, "entry 1: 'a/b' names a folder"),
        ({"below": 'config = "x.gin"'}, "entry 1: there is no config x.gin"),
        ({"below": f"[[entries]]\n{ENTRY}"}, "mine: pendulum-v0/sac/1 is there twice; label one"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_the_key(tmp_path, lines, complaint):
    name = write(tmp_path, **lines)
    with pytest.raises(ValueError, match=complaint) as raised:
        read_suite(name).plan()
    assert "\n" not in str(raised.value) and "mine" in str(raised.value)


def test_only_a_suite_is_found(tmp_path):
    with pytest.raises(ValueError, match=r"unknown suite 'memry'; did you mean memory\?"):
        read_suite("memry")


def test_a_byte_order_mark_at_a_files_beginning_is_no_part_of_it(tmp_path):
    path = Path(write(tmp_path))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_suite(str(path)).plan()) == 4


def test_every_algorithm_and_seed_of_an_entry_is_a_run(tmp_path):
    above, below = "bind = ['learning_rate = 1.0']", "envs = 2\nbind = ['batch_size = 4']"
    suite = read_suite(write(tmp_path, above=above, below=below))
    plan = suite.plan(["device = 'cpu'"])
    assert [run.name for run in plan] == [
        f"pendulum-v0/{algo}/{seed}" for algo in ("sac", "rsac") for seed in (1, 2)
    ]
    assert plan[0].place == ("pendulum-v0", "sac", "1")
    assert plan[1].request.seed == 2
    lines = [
        "device = 'cpu'",
        "learning_rate = 1.0",
        "steps = 100",
        "num_envs = 2",
        "batch_size = 4",
    ]
    assert plan[0].request.bind == lines


def test_a_label_names_a_line_and_begins_its_run_ids(tmp_path):
    one = 'env = "pendulum-v0"\nalgos = ["sac"]\nseeds = [7]\nsteps = 9\nlabel = "SAC, all seen"\n'
    more = f'[[entries]]\n{one}task = "another"'  # the same run, seen in a second panel
    first, second = read_suite(write(tmp_path, one, below=more)).plan()
    assert first.place == ("pendulum-v0", "SAC, all seen", "7")
    assert second.place == ("another", "SAC, all seen", "7")
    assert first.request == second.request and first.name == "pendulum-v0/sac/sac-all-seen-7"


@pytest.mark.parametrize("name", suites())
def test_the_suites_of_the_project_can_be_run(name):
    suite = read_suite(name)
    lacking = {algo for entry in suite.entries for algo in entry.algos} - set(algorithms())
    if lacking and not [algo for algo in algorithms() if algo.startswith("sb3_")]:
        pytest.skip(f"there is no {', '.join(sorted(lacking))} yet")
    for run in suite.plan():
        assert run.request.files


# Training


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the smoke suite ran: of four runs one was finished before, one begun."""
    folder = tmp_path_factory.mktemp("compared")
    (folder / "odd.py").write_text(ODD)
    shutil.copy(SMOKE, folder)
    config = tiny(folder).name
    asked = ["--env", "pendulum-v0", "--algo", "sac", "--config", config, "--steps", 150]
    asked += ["--results", "results/compared"]
    finished = launch(folder, *asked, "--run_id", 3, "--seed", 3)
    begun = launch(folder, *asked, "--run_id", 4, "--seed", 4, die=("play step", 100))
    assert (finished.wait(), begun.wait()) == (0, -9)
    before = contents(folder / "results/compared/pendulum-v0/sac/3")
    child = launch(folder, "--compare", "smoke.toml", "--jobs", 2, PYTHONPATH=str(folder))
    assert child.wait() == 6, child.said()
    assert contents(folder / "results/compared/pendulum-v0/sac/3") == before
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_finished_is_left_what_was_begun_goes_on_and_a_failure_stops_no_other(compared):
    said = (compared / "log").read_text()
    assert "4 runs, 1 of them finished before" in said
    assert "pendulum-v0/sac/4: results/compared/pendulum-v0/sac/4: goes on at step " in said
    assert (
        "failed: Falling-v0/sac/1: the environment raised RuntimeError('the motor is hot')" in said
    )
    for run_id, seed in (("pendulum-v0/sac/4", 4), ("pendulum-p-v0/rsac/rsac-windows-1", 1)):
        result = json.loads((compared / "results/compared" / run_id / "run.json").read_text())
        assert (result["final"]["env_steps"], result["seed"]) == (150, seed)


def test_the_report_says_what_was_run_and_what_is_missing(compared):
    text = (compared / "results/suites/smoke/report.md").read_text()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert "Does a comparison come to its report?" in text and "](return_time.png)" in text
    sac, rsac = "tiny.gin", "tiny.gin; recurrent_sequence_length = 10; long_episode = 20"
    assert ["pendulum", "sac", "pendulum-v0", "sac", "150", sac, "3, 4", ""] in cells
    label = "rsac, windows"
    assert ["pendulum", label, "pendulum-p-v0", "rsac", "150", rsac, "1", ""] in cells
    assert ["Falling-v0", "sac", "odd:Falling-v0", "sac", "150", sac, "", "1"] in cells
    assert "What it took" in text and ["pendulum", "-2,000", label, "1 of 1"] in [
        row[:4] for row in cells
    ]
    rows = compared / "results/suites/smoke/rows/pendulum" / label / "1"
    result = json.loads((rows / "run.json").read_text())
    assert (result["env"], result["algo"], result["eval_episodes"]) == ("pendulum-p-v0", "rsac", 1)
    assert str(compared) not in (rows / "run.json").read_text(), "rows are to be published"


def test_the_report_is_made_again_from_its_rows_alone(compared, tmp_path):
    for name in ("odd.py", "smoke.toml", "tiny.gin"):
        shutil.copy(compared / name, tmp_path)
    shutil.copytree(compared / "results/suites/smoke/rows", tmp_path / "docs/rows")
    child = launch(tmp_path, "--compare", "smoke.toml", "--report", "docs")
    assert child.wait() == 0, child.said()
    assert (tmp_path / "docs/report.md").read_text() == (
        compared / "results/suites/smoke/report.md"
    ).read_text()
    assert (tmp_path / "docs/return_steps.png").exists() and not (tmp_path / "results").exists()


def test_parts_train_every_run_once_and_leave_the_report_to_the_whole(
    tmp_path, monkeypatch, capsys
):
    suite = read_suite(write(tmp_path))
    monkeypatch.chdir(tmp_path)
    trained: list[str] = []

    def note(todo, limit, again):
        trained.extend(job.name for job in todo)
        return 0

    monkeypatch.setattr(jobs, "run", note)
    parts = []
    for part in ("1/3", "2/3", "3/3"):
        assert main(["--compare", "mine.toml", "--part", part]) == 0
        parts.append(trained.copy())
        trained.clear()
    planned = ["/".join(run.request.folder.path.parts[-3:]) for run in suite.plan()]
    assert parts == [[planned[0], planned[3]], [planned[1]], [planned[2]]]
    assert not list(tmp_path.glob("results/suites/*/report.md"))
    assert "without --part reports on all parts" in capsys.readouterr().out


@pytest.mark.parametrize("part", ["0/3", "4/3", "3", "x", "1/0", "-1/2"])
def test_a_part_that_is_none_is_a_line(part, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--compare", "smoke", f"--part={part}"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "it is written I/N" in said and said.count("\n") == 1


def test_a_run_whose_rows_were_kept_is_not_trained_again_nor_lost(compared, tmp_path):
    for name in ("odd.py", "smoke.toml", "tiny.gin"):
        shutil.copy(compared / name, tmp_path)
    rows = "results/suites/smoke/rows"
    shutil.copytree(compared / rows, tmp_path / rows)
    before = contents(tmp_path / rows)
    child = launch(tmp_path, "--compare", "smoke.toml", PYTHONPATH=str(tmp_path))
    assert child.wait() == 6, child.said()  # the environment that falls is tried again
    assert "4 runs, 3 of them finished before" in child.said()
    assert contents(tmp_path / rows) == before
    assert (tmp_path / "results/suites/smoke/report.md").read_text() == (
        compared / "results/suites/smoke/report.md"
    ).read_text()
    (tmp_path / "smoke.toml").write_text(
        SMOKE.read_text().replace("= [3, 4]", "= [4, 3, 5]\nbind = ['batch_size = 5']")
    )
    (tmp_path / "log").unlink()
    assert launch(tmp_path, "--compare", "smoke.toml").wait() == 2
    result = (tmp_path / "log").read_text()
    assert "rows/pendulum/sac/4 is there with other settings than the suite's" in result
    assert "EpisodeReplay.batch_size: 4, not 5" in result and contents(tmp_path / rows) == before


@pytest.mark.parametrize("more", [[], ["--report"]])
def test_rows_of_another_environment_are_refused(compared, tmp_path, more):
    shutil.copytree(compared / "results/suites/smoke/rows", tmp_path / "results/suites/smoke/rows")
    for name in ("odd.py", "tiny.gin"):
        shutil.copy(compared / name, tmp_path)
    text = SMOKE.read_text().replace('env = "pendulum-v0"', 'env = "pendulum-v-v0"')
    (tmp_path / "smoke.toml").write_text(text)
    child = launch(tmp_path, "--compare", "smoke.toml", *more, PYTHONPATH=str(tmp_path))
    assert child.wait() == 2
    assert "(env: pendulum-v0, not pendulum-v-v0)" in child.said()


@pytest.mark.parametrize("made", ["fp32", "bf16"])
def test_rows_of_either_precision_are_taken_where_the_suite_says_auto(tmp_path, made):
    folder, rows = tmp_path / "run", tmp_path / "rows"
    for asked in (made, "auto", "fp32"):
        name = write(tmp_path, ENTRY.replace("rsac", "td3"), below=f'precision = "{asked}"')
        plan = read_suite(name).plan(results=folder)
        if asked == made and not rows.exists():
            for run in plan:
                facts = {"env": "pendulum-v0", "algo": run.request.algo, "seed": run.seed}
                kept = rows_of(run, rows)
                kept.mkdir(parents=True)
                (kept / "run.json").write_text(json.dumps(facts | {"precision": made}))
                text = compose(run.request.files, run.request.bind).text()
                (kept.parent / "config.gin").write_text(text)
        if asked in (made, "auto"):
            refuse_others(plan, rows)
        else:
            with pytest.raises(ConfigError, match=r"SAC.precision: 'bf16', not 'fp32'"):
                refuse_others(plan, rows)


def test_rows_say_with_which_precision_a_run_began_and_went_on(tmp_path):
    run, *_ = plan = read_suite(write(tmp_path)).plan(results=tmp_path)
    run.request.folder.path.mkdir(parents=True)
    asked = {"env": "pendulum-v0", "algo": "sac", "seed": 1}
    result = asked | {"spec": {}, "precision": "bf16", "cpu": "AVX512", "final": {}, "pid": 3}
    went_on = {"step": 4, "exact": True, "precision": "fp32", "cpu": "AVX2"}
    run.request.folder.write(result | {"resumes": [went_on | {"command": "launch.py", "pid": 5}]})
    (run.request.folder / "config.gin").write_text("")
    (run.request.folder / "progress.csv").write_text("env_steps\n")
    assert keep_rows(plan, tmp_path / "rows") == 1
    facts = json.loads((rows_of(run, tmp_path / "rows") / "run.json").read_text())
    assert facts == asked | {"precision": "bf16", "cpu": "AVX512", "resumes": [went_on]}


def test_a_comparison_that_is_stopped_keeps_what_has_finished(compared, tmp_path):
    folder = tmp_path / "stopped"
    shutil.copytree(compared, folder)
    shutil.rmtree(folder / "results/suites")
    shutil.rmtree(folder / "results/compared/pendulum-p-v0")
    (folder / "log").unlink()
    before, env, after = SMOKE.read_text().partition('env = "pendulum-p-v0"')
    longer = after.replace("steps = 150", "steps = 100_000", 1)
    (folder / "smoke.toml").write_text(before + env + longer)
    child = launch(folder, "--compare", "smoke.toml", PYTHONPATH=str(folder))
    begun = folder / "results/compared/pendulum-p-v0/rsac/rsac-windows-1/run.json"
    until = time.monotonic() + 120
    while not begun.exists() and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGTERM)
    assert child.wait() == 143, child.said()
    rows = folder / "results/suites/smoke/rows"
    assert sorted(path.parent.name for path in rows.glob("*/*/*/run.json")) == ["3", "4"]
    assert (rows / "pendulum/sac/config.gin").exists()


def test_rows_without_the_last_of_their_files_do_not_count(tmp_path):
    run, *_ = plan = read_suite(write(tmp_path)).plan(results=tmp_path)
    rows_of(run, tmp_path).mkdir(parents=True)
    (rows_of(run, tmp_path) / "progress.csv").write_text("env_steps\n")
    assert not have_rows(run, tmp_path) and keep_rows(plan, tmp_path) == 0
    needed = '{"env": "e", "algo": "a", "seed": 1, "spec": {}}'
    (rows_of(run, tmp_path) / "run.json").write_text(needed)
    assert have_rows(run, tmp_path) and keep_rows(plan, tmp_path) == 1


def test_times_of_several_processors_are_not_compared_without_a_word():
    assert "2 kinds of processors" in scoring_note("time", [{"processor": "a"}, {"processor": "b"}])
    for at, processors in (("steps", "ab"), ("time", "aa")):
        assert "processors" not in scoring_note(at, [{"processor": name} for name in processors])


def test_a_line_has_one_setting(tmp_path):
    more = ENTRY.replace("seeds = 2", "seeds = [5]") + "bind = ['batch_size = 4']"
    with pytest.raises(ValueError, match="mine: pendulum-v0, sac is of two settings; label one"):
        read_suite(write(tmp_path, below=f"[[entries]]\n{more}")).plan()


def test_a_run_that_is_there_with_other_settings_is_refused_at_the_door(compared, tmp_path):
    shutil.copytree(compared, tmp_path / "again")
    folder = tmp_path / "again"
    shutil.rmtree(folder / "results/compared/pendulum-v0/sac/4")
    for old, new, result in (
        ("steps = 150", "steps = 300", r"steps: 150, not 300"),
        (
            '"tiny.gin"\n\n',
            '"tiny.gin"\nbind = ["batch_size = 5"]\n\n',
            "EpisodeReplay.batch_size: 4, not 5",
        ),
        ("= [3, 4]", "= [3, 4]\nbind = ['batc = 5']", "nothing in this run uses|unknown"),
    ):
        (folder / "log").unlink()
        (folder / "smoke.toml").write_text(SMOKE.read_text().replace(old, new, 1))
        child = launch(folder, "--compare", "smoke.toml", PYTHONPATH=str(folder))
        assert child.wait() == 2
        assert child.said().count("\n") == 1
        assert re.search(result, child.said()), child.said()
    assert not (folder / "results/compared/pendulum-v0/sac/4").exists()
