"""The search: what is proposed, pruned and recorded, and that it goes on after a stop."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from children import Child, launch
from optuna.trial import TrialState

from offpcc.compare.search.best import table, write_best
from offpcc.compare.search.search import LOCKED, STORAGE, TrialJob, search
from offpcc.compare.search.space import Space, read_space
from offpcc.compare.search.study import Study
from offpcc.compare.search.trial import SeedOfTrial, score
from offpcc.config.bindings import compose
from offpcc.config.catalog import algorithm_file
from offpcc.errors import ConfigError, StorageError
from offpcc.runs.job import Job
from offpcc.runs.starter import LocalStarter
from offpcc.storage.run_folder import RunFolder

SPACE = """
env = "pendulum-p-v0"
algo = "sac"
steps = 900
trials = 6
random_trials = 3
bind = ["eval_interval = 200"]
[space]
learning_rate = {low = 1e-4, high = 1e-1, log = true}
batch_size = {low = 8, high = 32, step = 8}
hidden_sizes = {choices = [[8, 8], [16]]}
"""

WALK = """
import time
import gymnasium
import numpy as np
from gymnasium import spaces

class Walk(gymnasium.Env):
    observation_space = spaces.Box(-9, 9, (1,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, fault=""):
        self.fault = fault

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps, self.at = 0, self.np_random.uniform(-1, 1, 1).astype(np.float32)
        return self.at, {}

    def step(self, action):
        self.steps += 1
        time.sleep(0.003)
        if self.fault == "raises" and self.steps == 9:
            raise RuntimeError("the motor is hot")
        if self.fault == "exits" and self.steps == 9:
            import os
            os._exit(3)
        self.at = np.clip(self.at + action, -9, 9).astype(np.float32)
        return self.at, -float(abs(self.at[0])), False, self.steps == 10, {}
"""

WALKS = """
env = "walk:Walk"
algo = "sac"
steps = 240
trials = 5
seeds = 2
last_evaluations = 2
pruner = "none"
bind = ["eval_interval = 60", "learning_starts = 50", "eval_episodes = 1", "batch_size = 4",
        "hidden_sizes = (8,)", "replay_ratio = 0.3"]
[space]
learning_rate = {low = 1e-4, high = 1e-2, log = true}
"""


def make_space(folder: Path, more: str = "", **settings: int) -> Space:
    path = folder / "mine.toml"
    path.write_text(more + SPACE)
    return read_space(str(path), **settings)


def make_study(folder: Path, more: str = "", **settings: int) -> Study:
    space = make_space(folder, more, **settings)
    return Study(space, space.check(), folder / "tune/mine")


def began(study: Study) -> int:
    number = study.claim_next()
    assert number is not None
    return number


# Proposals


def test_a_search_that_goes_on_proposes_what_it_would_have_proposed(tmp_path: Path) -> None:
    """The trials are scored by a law, so that the sampler learns something after the third."""

    def proposals(folder: Path, seed: int, again: bool) -> list[dict[str, object]]:
        folder.mkdir()
        study = make_study(folder, seed=seed)
        for count in range(6):
            if again and count in (2, 4):
                study = make_study(folder, seed=seed)
            number = began(study)
            study.complete(number, -study.trial(number).params["learning_rate"])
        return [trial.params for trial in study.trials]

    first = proposals(tmp_path / "a", 1, again=False)
    assert proposals(tmp_path / "b", 1, again=True) == first
    assert proposals(tmp_path / "c", 2, again=False) != first
    assert len({trial["learning_rate"] for trial in first}) == 6
    assert {trial["batch_size"] for trial in first} <= {8, 16, 24, 32}
    assert {trial["hidden_sizes"] for trial in first} <= {"[8, 8]", "[16]"}


def test_there_are_as_many_trials_as_were_asked_for_and_more_may_be(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    assert [study.claim_next() for _ in range(7)] == [0, 1, 2, 3, 4, 5, None]
    (tmp_path / "mine.toml").write_text(SPACE.replace("trials = 6", "trials = 7", 1))
    more = read_space(str(tmp_path / "mine.toml"))
    assert Study(more, more.check(), tmp_path / "tune/mine").claim_next() == 6


def test_a_study_of_other_settings_is_refused(tmp_path: Path) -> None:
    make_study(tmp_path)
    with pytest.raises(ConfigError, match=r"Training.steps: 900, not 800.*; move it away"):
        make_study(tmp_path, steps=800)
    with pytest.raises(ConfigError, match=r"tau: 0.02, not 0.5"):
        path = tmp_path / "mine.toml"
        path.write_text(
            SPACE.replace('"eval_interval = 200"', '"eval_interval = 200", "tau = 0.5"')
        )
        space = read_space(str(path))
        Study(space, space.check(), tmp_path / "tune/mine")


def test_a_trial_is_one_processs_and_can_be_taken_up_once_that_is_gone(tmp_path: Path) -> None:
    ours, theirs = make_study(tmp_path), make_study(tmp_path)
    stopped, over = began(ours), began(ours)
    assert theirs.claim_stopped() == [] and theirs.claim_next() == 2
    ours.complete(over, 1.0)
    ours.release(stopped)
    ours.release(over)
    assert theirs.claim_stopped() == [stopped]
    assert ours.claim_stopped() == []
    assert {file.name for file in (tmp_path / "tune/mine/locks").iterdir()} == {
        "study.lock", "trial-0.lock", "trial-2.lock",
    }  # fmt: skip


# Scores and pruning


def test_the_score_is_the_mean_return_of_the_last_evaluations(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "pendulum-p-v0/sac/0")
    folder.path.mkdir(parents=True)
    rows = "\n".join(f"{k},{k},{value},0" for k, value in enumerate((-5, -4, "", -3, -1)))
    folder.replace("progress.csv", f"env_steps,updates,test_return,seconds\n{rows}\n")
    assert score(folder, 2) == -2
    assert score(folder, 3) == pytest.approx(-8 / 3)
    assert score(folder, 9) == -3.25


def test_the_steps_of_a_trials_runs_are_counted_on_by_evaluations(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    number = began(study)
    first, second = (SeedOfTrial(study, number, before, 200) for before in (0, 900))
    for step in (200, 400, 606, 900):
        first.report(-float(step), step)
    second.report(-1.0, 203)
    second.report(-2.0, 203)  # again, after a resume
    assert study.trial(number).intermediate_values == {
        200: -200, 400: -400, 600: -606, 900: -900, 1100: -1,
    }  # fmt: skip


def test_a_trial_below_the_median_is_pruned_after_a_quarter_of_the_steps(tmp_path: Path) -> None:
    study = make_study(tmp_path, "prune_after_trials = 2\n")
    for value in (1.0, 3.0):
        number = began(study)
        for step in (200, 400, 900):
            SeedOfTrial(study, number, 0, 200).report(value, step)
        study.complete(number, value)
    wants = {}
    for value in (1.5, 2.5):
        trial = SeedOfTrial(study, began(study), 0, 200)
        for step in (200, 400, 900):
            trial.report(value, step)
            wants[value, step] = trial.should_prune()
    assert [case for case, pruned in wants.items() if pruned] == [(1.5, 400)]


def test_without_a_pruner_nothing_is_pruned(tmp_path: Path) -> None:
    study = make_study(tmp_path, "prune_after_trials = 1\npruner = 'none'\n")
    number = began(study)
    SeedOfTrial(study, number, 0, 200).report(9.0, 400)
    study.complete(number, 9.0)
    trial = SeedOfTrial(study, began(study), 0, 200)
    trial.report(-9.0, 400)
    assert not trial.should_prune()


# The loop, with processes that only say what ours would


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> dict[int, tuple[int, str]]:
    """What is to become of trials by number: an exit code and last words; others have a score."""
    planned: dict[int, tuple[int, str]] = {}

    class Crew:
        stopped = 0

        def __init__(self, starter: LocalStarter) -> None:
            self.limit = starter.limit or 0
            self.jobs: list[TrialJob] = []

        def __enter__(self) -> "Crew":
            return self

        def __exit__(self, *error: object) -> None:
            pass

        @property
        def working(self) -> int:
            return len(self.jobs)

        @property
        def hires(self) -> bool:
            return self.working < self.limit

        def start(self, job: TrialJob) -> None:
            self.jobs.append(job)

        def tell(self, job: Job, line: str) -> None:
            print(f"{job.name}: {line}")

        def wait(self) -> tuple[TrialJob, int, str]:
            job = self.jobs.pop()
            code, words = planned.get(job.number, (0, ""))
            if code == 0:
                job.study.complete(job.number, float(job.number))
            return job, code, words

    monkeypatch.setattr("offpcc.compare.search.search.Crew", Crew)
    return planned


def test_a_trial_that_fails_is_recorded_with_its_line_and_the_search_goes_on(
    tmp_path: Path, ends: dict[int, tuple[int, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(tmp_path)
    ends |= {1: (3, "10 updates in a row"), 2: (130, "stopped"), 4: (LOCKED, "locked")}
    assert search(study, 1, []) == 3
    states = [trial.state for trial in study.trials]
    complete, left = TrialState.COMPLETE, TrialState.RUNNING
    assert states == [complete, TrialState.FAIL, left, complete, left, complete]
    assert "trial 1: failed: 10 updates in a row\n" in capsys.readouterr().out
    lines = table(study)
    assert lines[-2] == "6 of 6 trials: 3 scored, 1 failed, 2 not over"
    assert lines[-1] == "failed: trial 1: 10 updates in a row"
    assert [line.split()[0] for line in lines[1:-2]] == ["5", "3", "0"], "the best first"
    ends.clear()
    assert search(study, 1, []) == 0, "those that were stopped are taken up again"
    assert [trial.state for trial in study.trials].count(complete) == 5


def test_a_full_disk_ends_the_search_and_spoils_no_trial(
    tmp_path: Path, ends: dict[int, tuple[int, str]]
) -> None:
    study = make_study(tmp_path)
    ends |= {1: (STORAGE, "no space left")}
    with pytest.raises(StorageError, match="no space left"):
        search(study, 1, [])
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.RUNNING]


def test_a_trial_is_the_searchs_command_with_its_number(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    number = began(study)
    (request,) = study.space.requests(study.trial(number).params, number)
    job = TrialJob(request, ("--tune", "mine.toml"), number=number, study=study)
    assert job.words(2) == ["--tune", "mine.toml", "--trial", "0"]
    assert not job.finished
    study.prune(number)
    assert job.finished


# What comes of it


@pytest.mark.parametrize("own", [False, True])
def test_the_best_settings_are_a_config_on_top_of_the_recipe(tmp_path: Path, own: bool) -> None:
    (tmp_path / "own.gin").write_text("discount = 0.75\n")
    config = f"config = '{tmp_path / 'own.gin'}'\n" if own else ""
    study = make_study(tmp_path, config)
    for value in (-3.0, -1.0, -2.0):
        study.complete(began(study), value)
    path = write_best(study, "launch.py --tune mine.toml")
    assert path == tmp_path / "tune/mine/best.gin"
    text = path.read_text()
    assert text.startswith("# Score -1.00: the mean test_return of the last 5 evaluations.\n")
    assert "\n# launch.py --tune mine.toml\n" in text
    (request,) = study.space.requests(study.trial(1).params, 1)
    found = compose([algorithm_file("sac"), path])
    assert found.values == request.compose().values
    assert found.values["SAC.discount"] == (0.75 if own else 0.99)


def test_an_include_among_the_lines_binds_nothing_that_they_bind(tmp_path: Path) -> None:
    """It would override those before it, and in best.gin it does not."""
    (tmp_path / "later.gin").write_text("discount = 0.75\n")
    line = f"""bind = ["discount = 0.5", "include '{tmp_path / "later.gin"}'"]"""
    path = tmp_path / "mine.toml"
    path.write_text(SPACE.replace('bind = ["eval_interval = 200"]', line))
    with pytest.raises(ValueError, match="discount is bound twice"):
        read_space(str(path)).check()


def test_without_a_score_there_is_no_best(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    study.fail(began(study), "hot")
    assert write_best(study, "") is None
    assert table(study) == ["1 of 6 trials: 1 failed", "failed: trial 0: hot"]


# The command


def tune(folder: Path, *arguments: object) -> Child:
    return launch(folder, "--tune", "walks.toml", "--seed", 1, *arguments, PYTHONPATH=str(folder))


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def trials_in(folder: Path) -> list[optuna.trial.FrozenTrial]:
    url = f"sqlite:///{folder / 'results/tune/walks/study.db'}"
    return optuna.load_study(study_name="walks", storage=url).trials


def test_a_search_that_was_stopped_is_continued_by_two_commands_at_once(tmp_path: Path) -> None:
    (tmp_path / "walk.py").write_text(WALK)
    (tmp_path / "walks.toml").write_text(WALKS)
    first = tune(tmp_path, "--jobs", 2)
    until(lambda: list((tmp_path / "results/tune/walks").glob("*/sac/*-2/run.json")))
    os.kill(first.pid, signal.SIGTERM)
    assert first.wait() == 143, first.said()
    assert first.said().endswith("launch.py: stopped by SIGTERM; continue with the same command\n")
    assert "takes it up again" in first.said()
    (runs,) = (tmp_path / "results/tune/walks").glob("*/sac")
    begun = sorted(path.name for path in runs.iterdir())
    cut = [n for n in begun if "final" not in json.loads((runs / n / "run.json").read_text())]
    assert cut

    both = [tune(tmp_path), tune(tmp_path)]
    assert [child.wait() for child in both] == [0, 0], both[0].said()
    trials = trials_in(tmp_path)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 5
    assert len(list(runs.glob("*/run.json"))) == 10
    for name in cut:
        assert json.loads((runs / name / "run.json").read_text())["resumes"], "went on"
    last = tune(tmp_path)
    assert last.wait() == 0
    said = last.said()
    assert "5 of 5 trials: 5 scored\n" in said and said.endswith("results/tune/walks/best.gin\n")


def test_faults_of_an_environment_are_trials_that_failed(tmp_path: Path) -> None:
    (tmp_path / "walk.py").write_text(WALK)
    choices = "env_kwargs = {choices = [{fault = 'raises'}, {fault = 'exits'}, {fault = ''}]}\n"
    few = WALKS.replace("seeds = 2", "seeds = 1").replace("steps = 240", "steps = 120")
    (tmp_path / "walks.toml").write_text(few + choices)
    child = tune(tmp_path, "--jobs", 2)
    code, said = child.wait(), child.said()
    reasons = {}
    for trial in trials_in(tmp_path):
        fault = str(trial.params["env_kwargs"])
        reasons[fault] = trial.user_attrs.get("reason", "")
        assert trial.state == (TrialState.COMPLETE if "''" in fault else TrialState.FAIL), said
    assert len(reasons) > 1, "the seed draws more than one of them"
    assert code == (0 if "{'fault': ''}" in reasons else 6)
    assert "the motor is hot" in reasons.get("{'fault': 'raises'}", "the motor is hot")
    exits = reasons.get("{'fault': 'exits'}", "the environment ended its process")
    assert exits.startswith("the environment ended its process")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--bind", "tau = 0.5"], "--bind does not go with --tune; the space's file says it"),
        (["--jobs", "0"], "--jobs 0: it must be at least 1"),
        (["--steps", "10", "--trial", "7"], "has no trial 7"),
    ],
)
def test_what_does_not_go_with_a_search_is_refused(
    arguments: list[str], line: str, tmp_path: Path
) -> None:
    (tmp_path / "walk.py").write_text(WALK)
    (tmp_path / "walks.toml").write_text(WALKS)
    child = tune(tmp_path, *arguments)
    assert child.wait() == 2
    assert line in child.said() and child.said().count("\n") == 1


def test_without_optuna_the_way_out_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "walk.py").write_text(WALK)
    (tmp_path / "walks.toml").write_text(WALKS)
    code = "import sys; sys.modules['optuna'] = None; from offpcc.cli.main import main; "
    code += "sys.exit(main(['--tune', 'walks.toml']))"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{root}:{tmp_path}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.endswith(": optuna is not installed: pip install optuna\n")
    assert not (tmp_path / "results").exists()
