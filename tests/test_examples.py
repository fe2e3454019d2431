"""The README and the page on extending do what they say: their code runs, with few steps."""

import importlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from code_blocks import FEW, ROLLOUTS, ROOT, SMALL, blocks, commands, obey

from offpcc.algorithms import A2C, AMP, COPG, DDPG, PPG, PPO, SAC, TD3
from offpcc.config.bindings import compose
from offpcc.config.catalog import algorithm_file, domain_config
from offpcc.runs.job import Job
from offpcc.runs.start_or_resume import start_run
from offpcc.training.loop import columns

README = (ROOT / "README.md").read_text()
EXTENDING = (ROOT / "docs/extending.md").read_text()
SHORTER = {
    "steps=20_000)": f"steps=220, bind={FEW + SMALL})",
    "steps=20_000,": "steps=220,",
    "learning_starts=1_000": "learning_starts=200",
    "episodes=10": "episodes=1",
    "batch_size=8": "batch_size=2",
}
SECTIONS = (
    "A config",
    "An environment",
    "The parts by hand",
    "A memory",
    "An encoder",
    "An actor or a critic",
    "An algorithm",
)


def shortened(code: str) -> str:
    """The same code, with fewer steps."""
    for long, short in SHORTER.items():
        code = code.replace(long, short)
    return code


def write_files(text: str, folder: Path) -> None:
    """The blocks of a page that begin with a file's name, as files."""
    for code in blocks(text, "python") + blocks(text, "gin"):
        if name := re.match(r"# (\w+\.\w+)\n", code):
            (folder / name[1]).write_text(shortened(code))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, from which modules can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def section(name: str) -> str:
    """One section of the page on extending."""
    return re.split(r"^## ", EXTENDING, flags=re.MULTILINE)[1 + SECTIONS.index(name)]


def test_the_sections_are_those_tested() -> None:
    assert tuple(re.findall(r"^## (.*)$", EXTENDING, re.MULTILINE)) == SECTIONS


@pytest.mark.parametrize("name", SECTIONS)
def test_the_page_on_extending_works(name: str, desk: Path) -> None:
    write_files(EXTENDING, desk)
    result = list(commands(section(name)))
    assert result
    for words in result:
        obey(words)


@pytest.mark.parametrize(
    ("module", "algo", "parent"), [("soft_td3", "rtd3", "TD3"), ("log_ppo", "lstm_ppo", "PPO")]
)
def test_a_subclass_has_every_setting_of_the_recipe(
    module: str, algo: str, parent: str, desk: Path
) -> None:
    write_files(EXTENDING, desk)
    own, known = f"{module}.gin", algorithm_file(algo)
    recipe = domain_config("pendulum-p-v0", known)
    assert recipe is not None
    plain = compose([known, recipe]).values
    changed = compose([known, desk / own]).values
    name = str(changed["TrainingConfig.agent"])[1:]
    settings = {
        key.partition(".")[2]: v for key, v in plain.items() if key.startswith(parent + ".")
    }
    assert len(settings) > 15
    assert (
        settings.items()
        <= {
            key.partition(".")[2]: v for key, v in changed.items() if key.startswith(f"{name}.")
        }.items()
    )


def test_the_quick_start_works(desk: Path) -> None:
    for words in commands(README):
        obey(words)
    assert list(desk.glob("results/pendulum-p-v0/rsac/1/videos/*.mp4"))


def test_the_python_of_the_readme_works(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks(README, "python")
    exec(compile(shortened(code), "README.md", "exec"), {})
    assert "return -" in capsys.readouterr().out.splitlines()[-1]


def test_the_page_on_running_explains_every_column() -> None:
    page = (ROOT / "docs/running.md").read_text()
    explained = set(re.findall(r"\w+", " ".join(re.findall(r"^\| ([\w, ]+) \|", page, re.M))))
    for algorithm in (DDPG, SAC, TD3, A2C, PPO, COPG, PPG, AMP):
        assert set(columns(algorithm)) <= explained


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A file of benchmarks/ as a module."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module(name)


def short_demo(monkeypatch: pytest.MonkeyPatch, steps: int) -> ModuleType:
    """The demonstration with few steps and episodes."""
    demo = script("demo", monkeypatch)
    tasks = tuple(replace(task, steps=steps, eval_interval=steps) for task in demo.TASKS)
    monkeypatch.setattr(demo, "TASKS", tasks)
    monkeypatch.setattr(demo, "EPISODES", 2)
    return demo


def test_the_demonstration_tells_the_returns_and_where_the_pictures_are(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(jobs: Sequence[Job], starter: object) -> int:
        """In this process, and with smaller parts."""
        for job in jobs:
            request = job.request
            few = ROLLOUTS if "ppo" in request.algo else FEW
            few += SMALL if request.algo in ("rsac", "lstm_ppo") else ()
            start_run(replace(request, bind=[*request.bind, *few]), overwrite=True)
        return 0

    demo = short_demo(monkeypatch, 220)
    monkeypatch.setattr(demo.jobs, "run", train)
    assert demo.main() == 0
    result = capsys.readouterr().out
    for task in demo.TASKS:
        assert f"{task.env}: return of 2 episodes" in result
        assert all(f"  {agent.words} " in result for agent in task.agents)
    assert result.count("  chance ") == 2
    (picture,) = re.findall(r"^picture: (.*)$", result, re.M)
    videos = re.findall(r"^episode 0: .*: (.*)$", result, re.M)
    assert len(videos) == 2 and all((desk / file).stat().st_size for file in (picture, *videos))


def test_what_cannot_be_drawn_does_not_spoil_the_demonstrations_ending(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = short_demo(monkeypatch, 220)
    monkeypatch.setattr(demo.jobs, "run", lambda jobs, starter: 0)
    monkeypatch.setattr(demo, "compare", lambda task: None)  # nothing was trained
    assert demo.main() == 0
    result = capsys.readouterr().out
    assert result.count("no picture: ValueError: ") == 1 and result.count("no video: ") == 2
    assert "launch.py --env pendulum-p-v0 --algo lstm_ppo" in result.splitlines()[-3]


@pytest.mark.slow
def test_the_demonstration_trains_side_by_side(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = short_demo(monkeypatch, 4200)  # a rollout is 4,096 steps
    assert demo.main() == 0
    assert len([*desk.glob("build/demo/*/*/1/run.json")]) == 4
    assert capsys.readouterr().out.count("4200 / 4200 steps") == 4


def test_a_demonstration_without_an_agent_is_none(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = short_demo(monkeypatch, 220)
    monkeypatch.setattr(demo.jobs, "run", lambda jobs, starter: 6)
    assert demo.main() == 6


@pytest.mark.slow
def test_every_piece_of_the_benchmark_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    speed = script("speed", monkeypatch)
    monkeypatch.setattr("sys.argv", ["speed.py", "--quick", "--threads", "1"])
    speed.main()
    assert capsys.readouterr().out.count("\n| ") > 20
