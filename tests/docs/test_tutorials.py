"""The tutorials do what they say: their files are the examples', and their commands run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from code_blocks import ROOT, blocks, commands, obey

from offpcc.domains.extras import missing

EXAMPLES = ROOT / "docs/examples"
TUTORIALS = {path.stem: path.read_text() for path in sorted((ROOT / "docs/tutorials").glob("*.md"))}
NAMED = re.compile(r"# (\w+\.(?:py|gin|toml))\n(.*)", re.DOTALL)
NEEDS = {"pybullet-domain": "pybullet", "offline-data": "minari"}
CROWDS = {"--compare", "--tune"}  # many runs, each in a process of its own
FEW_STEPS = "learning_starts = 200\neval_interval = 220\neval_episodes = 1\n"
SHORTER = {  # of the examples' files
    "STEPS = 4_000": "STEPS = 1_020",  # they begin to learn at 1,000
    "seeds = 5": "seeds = 1",
    "steps = 4_000\ntrials = 20": "steps = 220\ntrials = 2",
    "steps = 8_000": "steps = 220",
    "reward_scale = 1.0\n": f"reward_scale = 1.0\n{FEW_STEPS}",  # of trolley.gin
    "EPISODES = 200": "EPISODES = 5",
}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in with the examples, shortened; their modules are new to this process."""
    for file in EXAMPLES.glob("*.*"):
        text = file.read_text()
        for long, short in SHORTER.items():
            text = text.replace(long, short)
        (tmp_path / file.name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    for name in [file.stem for file in EXAMPLES.glob("*.py")]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def named_blocks(text: str) -> list[tuple[str, str, str]]:
    """Name, code and whole block of each block that begins with a file's name."""
    found = [block for kind in ("python", "gin", "toml") for block in blocks(text, kind)]
    return [(*match.groups(), block) for block in found if (match := NAMED.match(block))]


@pytest.mark.parametrize("tutorial", TUTORIALS)
def test_code_on_the_page_is_the_examples(tutorial: str) -> None:
    for name, code, block in named_blocks(TUTORIALS[tutorial]):
        text = (EXAMPLES / name).read_text()
        assert (code if name.endswith(".py") else block) in text, name


def test_every_example_is_on_a_page() -> None:
    pages = "\n".join(TUTORIALS.values())
    for file in EXAMPLES.iterdir():
        if file.is_file():
            assert f"../examples/{file.name}" in pages, file.name


@pytest.mark.parametrize("tutorial", TUTORIALS)
def test_links_lead_somewhere(tutorial: str) -> None:
    for target in re.findall(r"\]\((?!https:)([^)]+)\)", TUTORIALS[tutorial]):
        path, _, anchor = target.partition("#")
        there = (ROOT / "docs/tutorials" / (path or f"{tutorial}.md")).resolve()
        assert there.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in heads}


@pytest.mark.parametrize(
    "tutorial", [name for name, text in TUTORIALS.items() if list(commands(text))]
)
def test_the_commands_of_a_tutorial_work(tutorial: str, desk: Path) -> None:
    if needed := NEEDS.get(tutorial):
        pytest.importorskip(needed)
    for words in commands(TUTORIALS[tutorial]):
        if not CROWDS & set(words):
            obey(words)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [words for page in TUTORIALS.values() for words in commands(page) if CROWDS & set(words)],
)
def test_the_commands_of_a_tutorial_that_make_many_runs_work(words: list[str], desk: Path) -> None:
    obey(words)


# The examples


def cells(notebook: Path) -> str:
    """The code of a notebook's cells, one after another."""
    found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(c["source"]) for c in found if c["cell_type"] == "code")


MEASURED = """
random, chance = np.random.default_rng(0), []
for seed in range(50):
    env, total, ended = Trolley(heaviest=1.5), 0.0, False
    env.reset(seed=seed)
    while not ended:
        _, reward, _, ended, _ = env.step(random.uniform(-1, 1, 1))
        total += reward
    chance.append(total)
print("found", np.mean(chance), result["test_return"], result["test_success"])
"""


def returns_of_the_notebook(folder: Path, steps: int) -> tuple[float, float, float]:
    """Mean return of random actions, and of the agent of the notebook; share of successes."""
    (folder / "notebook.py").write_text(cells(EXAMPLES / "own_environment.ipynb") + MEASURED)
    own = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "STEPS": str(steps)}
    program = [sys.executable, "-W", "error", "notebook.py"]
    done = subprocess.run(
        program, cwd=folder, env=os.environ | own, check=True, capture_output=True, text=True
    )
    assert list(folder.glob("results/Trolley/rsac/notebook/plots/return_steps.png"))
    chance, trained, success = map(float, done.stdout.rsplit("found", 1)[1].split())
    return chance, trained, success


def test_the_agent_of_the_notebook_learns(tmp_path: Path) -> None:
    chance, trained, _ = returns_of_the_notebook(tmp_path, 1_200)
    assert trained > chance + 2


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_agent_of_the_notebook_solves_its_task(tmp_path: Path) -> None:
    chance, trained, success = returns_of_the_notebook(tmp_path, 8_000)
    assert trained > chance + 18 and success > 0.5


def test_the_notebook_has_no_outputs() -> None:
    found = json.loads((EXAMPLES / "own_environment.ipynb").read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in found)


def test_a_leaky_integrator_approaches_a_constant_input_at_its_own_rate(desk: Path) -> None:
    from leaky import LeakyIntegrators

    memory = LeakyIntegrators(1, hidden_size=2, skip_connection=False)
    memory.log_constant.data = torch.tensor([1.0, 10.0]).log()
    memory.map.weight.data.fill_(1.0)
    memory.map.bias.data.zero_()
    states, _ = memory.unroll(torch.ones(1, 10, 1), torch.zeros(1, 2))
    steps = torch.arange(1, 11).unsqueeze(1)
    expected = torch.tanh(torch.tensor(1.0)) * (1 - torch.exp(-steps / torch.tensor([1.0, 10.0])))
    torch.testing.assert_close(states[0], expected)


def test_the_trolley_moves_as_its_mass_says(desk: Path) -> None:
    from trolley import Trolley

    env = Trolley(lightest=2.0, heaviest=2.0)
    env.reset(seed=0)
    start = env.x
    for _ in range(3):
        env.step(np.array([1.0]))
    assert env.velocity == pytest.approx(0.15)  # 0.3 s of 0.5 m/s²
    assert env.x - start == pytest.approx(0.1 * (0.05 + 0.1 + 0.15))


def test_a_ball_rolls_to_where_the_beam_and_the_floor_lean(desk: Path) -> None:
    pytest.importorskip("pybullet", reason=missing("pybullet", "bullet"))
    gymnasium.registry.pop("ball-on-beam-v0", None)  # another test's commands have imported it
    from ball_on_beam import AXLE, SLOPE, BallOnBeam

    env = BallOnBeam()
    for slope, action, side in ((SLOPE, 0.0, 1), (-SLOPE, 0.0, -1), (0.0, 1.0, 1), (0.0, -1.0, -1)):
        env.reset(seed=0)
        env.scene.call.setGravity(9.8 * slope, 0.0, -9.8)
        env.scene.call.resetBasePositionAndOrientation(env.ball, (0, 0, AXLE + 0.03), (0, 0, 0, 1))
        for _ in range(12):
            (place, _), *_ = env.step(np.array([action]))
        assert place * side > 0.05
    env.close()


def test_logs_become_the_episodes_that_they_are_of(desk: Path) -> None:
    from logs import drive, save_arrays
    from trolley import Trolley

    from offpcc.envs.make_env import make_env
    from offpcc.training.dataset import read_episodes

    driven = [drive(Trolley(), seed) for seed in range(3)]
    save_arrays("three", driven)
    found = read_episodes("three", make_env("trolley:Trolley").space_adapter).episodes
    assert len(found) == 3
    for (observations, actions, rewards, terminated), episode in zip(driven, found, strict=True):
        np.testing.assert_array_equal(episode.observation["observation"], observations)
        np.testing.assert_array_equal(episode.action, actions)
        np.testing.assert_allclose(episode.reward, rewards, rtol=1e-6)
        assert episode.terminated == terminated == False  # noqa: E712
