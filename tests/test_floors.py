import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The entries of offpcc/, a floor a line: each imports from floors above it here, or from itself.
FLOORS = (
    "data domains errors",
    "config",
    "processes",
    "networks replay",
    "algorithms envs storage",
    "training",
    "distributed",
    "baselines",
    "runs",
    "compare",
    "deploy",
    "cli",
)
FLOOR = {part: floor for floor, parts in enumerate(FLOORS) for part in parts.split()}
ONLY = {  # which files may import a package
    "gin": ["offpcc/config/bindings.py"],
    "wandb": ["offpcc/training/tracking/mirrors.py"],
    "tensorboard": ["offpcc/training/tracking/mirrors.py"],
    "torch.utils.tensorboard": ["offpcc/training/tracking/mirrors.py"],
    "stable_baselines3": ["offpcc/baselines"],
    "sb3_contrib": ["offpcc/baselines"],
    "ray": ["offpcc/distributed"],
    "minari": ["offpcc/training/dataset_io.py"],
    "filelock": ["offpcc/storage/run_folder.py", "offpcc/storage/file_lock.py"],
    "optuna": ["offpcc/compare/search"],
    "onnx": ["offpcc/deploy/export/formats.py"],
    "onnxruntime": ["offpcc/deploy/export/formats.py", "offpcc/deploy/runner.py"],
    "pybullet": ["domains"],
    "offpcc": ["offpcc", "launch.py"],
    "offpcc.domains": ["offpcc/config/catalog.py", "offpcc/cli"],
    "domains": [],  # its name is offpcc.domains
}
MEMORIES = {
    "Summarizer",
    "Stack",
    "Recurrent",
    "Identity",
    "LSTM",
    "GRU",
    "RNN",
    "MinGRU",
    "Transformer",
}


def trees(*patterns: str) -> dict[str, ast.Module]:
    """Parsed files by their path in the repository."""
    files = sorted(file for pattern in patterns for file in ROOT.glob(pattern))
    return {file.relative_to(ROOT).as_posix(): ast.parse(file.read_text()) for file in files}


LIBRARY = {k: v for k, v in trees("offpcc/**/*.py").items() if not k.startswith("offpcc/__")}
EVERYTHING = trees("offpcc/**/*.py", "domains/**/*.py", "launch.py")


def imports(tree: ast.Module) -> Iterator[str]:
    """Full names of the modules, or of the things in them, that a file imports anywhere.

    Those that it imports relatively, from its own package, are left out.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(path: str) -> str:
    """The file or folder of offpcc that a path or a dotted name belongs to."""
    return f"{path.removesuffix('.py').replace('/', '.')}.".split(".")[1]


def names(node: ast.AST) -> set[str]:
    """All identifiers below a node, those of arguments and definitions included."""
    fields = ("id", "attr", "arg", "name")
    found = (getattr(n, field, None) for n in ast.walk(node) for field in fields)
    return {name for name in found if isinstance(name, str)}


def test_every_entry_of_the_package_has_a_floor() -> None:
    entries = {path.stem for path in (ROOT / "offpcc").iterdir() if not path.name.startswith("__")}
    assert entries - {"py"} | {"domains"} == FLOOR.keys()


def test_only_domains_are_imported_relatively() -> None:
    for path, tree in EVERYTHING.items():
        relative = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level]
        assert path.startswith("domains/") or not relative, path


def test_imports_go_one_way() -> None:
    for path, tree in LIBRARY.items():
        others = {part(name) for name in imports(tree) if name.startswith("offpcc.")}
        above = [each for each in others - {part(path)} if FLOOR[each] >= FLOOR[part(path)]]
        assert not above, f"{path} imports {above}"


@pytest.mark.parametrize("package", ONLY)
def test_a_package_is_imported_only_where_it_belongs(package: str) -> None:
    for path, tree in EVERYTHING.items():
        if any(f"{name}.".startswith(f"{package}.") for name in imports(tree)):
            assert any(f"{path}/".startswith(f"{home}/") for home in ONLY[package]), path


@pytest.mark.parametrize("place", ["data", "errors", "networks", "replay", "algorithms"])
def test_what_learns_needs_numpy_and_torch_alone(place: str) -> None:
    for path, tree in LIBRARY.items():
        if part(path) == place:
            roots = {name.split(".")[0] for name in imports(tree)} - sys.stdlib_module_names
            assert roots <= {"numpy", "torch", "offpcc"}, path


def test_plots_need_no_torch() -> None:
    for path, tree in LIBRARY.items():
        if "/plot/" in path:
            assert not [name for name in imports(tree) if name.split(".")[0] == "torch"], path


@pytest.mark.parametrize("place", ["algorithms/", "replay/", "training/collector"])
def test_nothing_that_learns_or_collects_asks_what_the_memory_is(place: str) -> None:
    for path, tree in LIBRARY.items():
        if path.startswith(f"offpcc/{place}"):
            assert not [name for name in names(tree) if "recurrent" in name.lower()], path
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
            asks = [call for call in calls if names(call.func) & {"isinstance", "issubclass"}]
            assert not [ast.unparse(call) for call in asks if names(call) & MEMORIES], path
