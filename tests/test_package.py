"""The package: what is in the wheel, what it needs, and that it works in any folder."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from children import LAUNCH, tiny

import offpcc

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = ("offpcc", "domains", "configs", "pyproject.toml", "setup.py", "README.md", "LICENSE")
DECOYS = ("domains", "configs", "tests", "results", "offpcc_results", "gymnasium_envs")
RUN = ("--env", "pendulum-p-v0", "--algo", "rsac", "--config", "tiny.gin", "--seed", "1")
MINE = """import gymnasium
gymnasium.register("Mine-v0", "gymnasium.envs.classic_control:PendulumEnv")
"""
SUITE = """question = "Does a comparison work?"
[[entries]]
env = "t-maze10-noise0.1-v0"
algos = ["rsac", "rtd3"]
seeds = 1
steps = 250
config = "tiny.gin"
"""


def pins() -> dict[str, str]:
    """The lines of requirements.txt by package, without the conditions on Python."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = [re.split("[;#]", line)[0].strip() for line in lines]
    return {re.split(r"[\[=]", pin)[0]: pin for pin in pinned if pin}


def name_of(requirement: str) -> str:
    """The package that a requirement names."""
    return re.split(r"[\[<>=]", requirement)[0]


def decoyed(folder: Path) -> Path:
    """A folder whose own folders and files are named like ours."""
    for name in DECOYS:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise RuntimeError('not ours')\n")
    (folder / "configs" / "defaults.gin").write_text("not ours")
    (folder / "launch.py").write_text("raise RuntimeError('not ours')\n")
    (folder / "pyproject.toml").write_text("not ours")
    return folder


def said(folder: Path, *command: str, **env: str) -> str:
    """What a command prints in a folder; it must succeed."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=kept | {"OMP_NUM_THREADS": "1"} | env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python(folder: Path, code: str) -> str:
    """What a line of Python prints in a folder, from which the checkout can be imported."""
    return said(folder, sys.executable, "-W", "error", "-c", code, PYTHONPATH=str(ROOT))


# Requirements


def test_requirements_hold_the_core_and_tests_and_agree_with_the_extras() -> None:
    pinned, extras = pins(), PROJECT["optional-dependencies"]
    assert {name_of(each) for each in [*PROJECT["dependencies"], *extras["test"]]} <= pinned.keys()
    for requirement in [each for extra in extras.values() for each in extra]:
        assert "==" in requirement
        assert pinned.get(name_of(requirement), requirement) == requirement


def test_the_version_is_that_of_the_project() -> None:
    assert offpcc.__version__ == PROJECT["version"]
    assert f"version: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text()


# The description


@pytest.fixture
def long_description() -> Callable[[str, str | None], str]:
    """The function that makes the package's description of the README."""
    return runpy.run_path(str(ROOT / "setup.py"))["long_description"]


def test_a_description_without_a_repository_has_no_relative_link(
    long_description: Callable[[str, str | None], str],
) -> None:
    readme = "![A plot](a/b.png)\n\nSee [this\npage](docs/x.md#y), [that](https://z.org)."
    assert long_description(readme, None) == (
        "*Picture in the repository: A plot.*\n\nSee this\npage, [that](https://z.org)."
    )
    described = long_description((ROOT / "README.md").read_text(), None)
    assert "](" not in described and "offpcc.run(" in described


def test_a_description_links_to_the_repository(
    long_description: Callable[[str, str | None], str],
) -> None:
    readme = "![A plot](a/b.png)\nSee [this](docs/x.md#y), [that](https://z.org)."
    assert long_description(readme, "https://host/me/offpcc/") == (
        "![A plot](https://host/me/offpcc/raw/HEAD/a/b.png)\n"
        "See [this](https://host/me/offpcc/blob/HEAD/docs/x.md#y), [that](https://z.org)."
    )


# In a checkout


def test_importing_offpcc_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys; before = {*sys.modules}; import offpcc; print(*{*sys.modules} - before)"
    loaded = {name.partition(".")[0] for name in python(tmp_path, code).split()}
    assert loaded <= sys.stdlib_module_names | {"offpcc"}


@pytest.mark.parametrize("order", ["gymnasium, offpcc", "offpcc, gymnasium"])
def test_gymnasium_knows_the_ids_whichever_is_imported_first(tmp_path: Path, order: str) -> None:
    code = f"import {order}; print(*map(gymnasium.make, ('pendulum-p-v0', 'offpcc:t-maze10-v0')))"
    assert python(tmp_path, code).split() == [
        "<TimeLimit<Pendulum<pendulum-p-v0>>>",
        "<TimeLimit<TMaze<t-maze10-v0>>>",
    ]


def test_looking_for_gymnasium_without_importing_it_loses_no_id(tmp_path: Path) -> None:
    code = "import offpcc, importlib.util; importlib.util.find_spec('gymnasium'); "
    code += "import gymnasium; print('pendulum-p-v0' in gymnasium.registry)"
    assert python(tmp_path, code) == "True\n"


def test_the_front_door_makes_an_environment_with_a_suffix(tmp_path: Path) -> None:
    code = "import offpcc; print(offpcc.make_env('pendulum-p-noise0.5-v0').limit)"
    assert python(tmp_path, code) == "200\n"


def test_environments_have_one_name(tmp_path: Path) -> None:
    code = "import sys, offpcc.domains.pendulum; print(*[m for m in sys.modules if 'domains' in m])"
    assert all(name.startswith("offpcc.domains") for name in python(tmp_path, code).split())
    with pytest.raises(ImportError, match="environments are offpcc"):
        __import__("domains")


def test_folders_of_the_users_hide_none_of_ours(tmp_path: Path) -> None:
    found = said(decoyed(tmp_path), *LAUNCH, "--list", PYTHONPATH=str(tmp_path))
    assert "pendulum-p-v0" in found and "configs/test/template.gin" in found


def test_folders_of_ours_hide_none_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "domains.py").write_text(MINE)
    found = said(tmp_path, *LAUNCH, "--env", "domains:Mine-v0", "--algo", "sac", "--print-config")
    assert "SAC.discount" in found


@pytest.mark.parametrize(
    ("command", "name", "example"),
    [
        (LAUNCH, "launch.py", "python launch.py"),
        ([sys.executable, "-m", "offpcc"], "python -m offpcc", "python -m offpcc"),
    ],
)
def test_the_help_shows_the_command_as_it_was_called(
    tmp_path: Path, command: list[str], name: str, example: str
) -> None:
    shown = said(tmp_path, *command, "--help", PYTHONPATH=str(ROOT))
    assert shown.startswith(f"usage: {name} [-h]") and f"  {example} --compare memory" in shown


# Installed


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy of the files that it is made of."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in OURS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    said(source, sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(built), ".")
    (file,) = built.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of programs of an environment with the wheel and its dependencies alone."""
    home = tmp_path_factory.mktemp("environment")
    core = [pins()[name_of(each)] for each in PROJECT["dependencies"]]
    said(home, sys.executable, "-m", "venv", "venv")
    said(home, "venv/bin/python", "-m", "pip", "install", "--quiet", str(wheel), *core)
    yield home / "venv" / "bin"
    shutil.rmtree(home)  # gigabytes


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder to work in, with a short config and nothing of ours."""
    tiny(decoyed(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_the_wheel_puts_nothing_but_offpcc_at_the_top(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    dist_info = f"offpcc-{PROJECT['version']}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"offpcc", dist_info}
    for folder, pattern in (("domains", "*.py"), ("configs", "*.gin"), ("configs", "*.toml")):
        ours = {file.relative_to(ROOT).as_posix() for file in (ROOT / folder).rglob(pattern)}
        assert {f"offpcc/{name}" for name in ours} <= set(names)
    metadata = zipfile.ZipFile(wheel).read(f"{dist_info}/METADATA").decode()
    assert "Description-Content-Type: text/markdown" in metadata and "## Install" in metadata
    assert {"offpcc/py.typed", f"{dist_info}/licenses/LICENSE"} <= set(names)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # installs PyTorch
def test_the_command_line_works_where_it_is_installed(installed: Path, desk: Path) -> None:
    program, module = str(installed / "offpcc"), [str(installed / "python"), "-m", "offpcc"]
    assert "pendulum-p-v0" in said(desk, program, "--list")
    assert said(desk, program, "--help").startswith("usage: offpcc [-h]")
    said(desk, program, *RUN)
    assert "95 % interval" in said(desk, program, *RUN, "--evaluate", "2")
    told = json.loads((desk / "results/pendulum-p-v0/rsac/1/run.json").read_text())
    assert told["versions"]["offpcc"] == PROJECT["version"] and told["git_commit"] is None
    said(desk, *module, *RUN, "--run_id", "2", "3", "--jobs", "2", PYTHONPATH=str(desk))
    assert len([*desk.glob("results/pendulum-p-v0/rsac/*/checkpoints")]) == 3
    assert "results/plots/table.md" in said(desk, program, "--plot", "results/pendulum-p-v0")
    (desk / "small.toml").write_text(SUITE)
    said(desk, program, "--compare", "small.toml", "--jobs", "2")
    assert "rtd3" in (desk / "results/suites/small/report.md").read_text()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_python_works_where_it_is_installed(installed: Path, desk: Path) -> None:
    code = "import offpcc; run = offpcc.run('t-maze10-v0', 'rsac', config='tiny.gin', seed=1); "
    code += "print(offpcc.__version__, offpcc.load(run.path).spec.action, offpcc.env_of(run.path))"
    line = said(desk, str(installed / "python"), "-c", code).splitlines()[-1]
    assert line == f"{PROJECT['version']} 1 <EnvAdapter<TimeLimit<TMaze<t-maze10-v0>>>>"
