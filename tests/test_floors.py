import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    "data functional faults ranges limits",
    "networks replay",
    "algorithms",
    "train evaluate collect record checkpoint export plot"
    " actions allocator catalog check folder interrupt copies progress room sealed tape transitions"
    " world dataset source board guard heartbeat lifeline notices outcome spaces streams"
    " supervisor atomic_io values",
    "experiment bindings baselines distributed build config feasibility kinds play provenance"
    " recipe request schema served trained demonstrate jobs suite rows compare report",
)
FLOOR = {part: floor for floor, parts in enumerate(FLOORS) for part in parts.split()}
ONLY = {  # which files may import a package
    "gin": ["offpcc/bindings.py"],
    "wandb": ["offpcc/record/mirrors.py"],
    "tensorboard": ["offpcc/record/mirrors.py"],
    "torch.utils.tensorboard": ["offpcc/record/mirrors.py"],
    "stable_baselines3": ["offpcc/baselines"],
    "sb3_contrib": ["offpcc/baselines"],
    "ray": ["offpcc/distributed.py"],
    "minari": ["offpcc/transitions.py"],
    "filelock": ["offpcc/folder.py"],
    "pybullet": ["domains"],
    "domains": ["domains", "launch.py"],
    "offpcc": ["offpcc", "launch.py"],
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


LIBRARY = {k: v for k, v in trees("offpcc/**/*.py").items() if k != "offpcc/__init__.py"}
EVERYTHING = trees("offpcc/**/*.py", "domains/**/*.py", "launch.py")


def imports(tree: ast.Module) -> Iterator[str]:
    """Full names of the modules, or of the things in them, that a file imports anywhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(path: str) -> str:
    """The file or folder of offpcc that a path or a dotted name belongs to."""
    return f"{path.removesuffix('.py').replace('/', '.')}.".split(".")[1]


def floor_of(path: str) -> int:
    """Where its part lies; above all where it has not been given a place."""
    return FLOOR.get(part(path), len(FLOORS))


def names(node: ast.AST) -> set[str]:
    """All identifiers below a node, those of arguments and definitions included."""
    fields = ("id", "attr", "arg", "name")
    found = (getattr(n, field, None) for n in ast.walk(node) for field in fields)
    return {name for name in found if isinstance(name, str)}


def test_every_part_has_a_floor() -> None:
    assert not {part(path) for path in LIBRARY} - FLOOR.keys()


def test_files_import_only_from_below_or_from_their_own_folder() -> None:
    for path, tree in LIBRARY.items():
        own, floor = part(path), floor_of(path)
        others = {name for name in imports(tree) if f"{name}.".startswith("offpcc.")}
        others = {other for other in others if part(other) != own}
        above = [o for o in others if floor_of(o) > floor or floor_of(o) == floor < 3]
        assert not above, f"{path} imports {above}"


@pytest.mark.parametrize("package", ONLY)
def test_a_package_is_imported_only_where_it_belongs(package: str) -> None:
    for path, tree in EVERYTHING.items():
        if any(f"{name}.".startswith(f"{package}.") for name in imports(tree)):
            assert any(f"{path}/".startswith(f"{home}/") for home in ONLY[package]), path


def test_the_core_needs_numpy_and_torch_alone_and_plots_no_torch() -> None:
    for path, tree in LIBRARY.items():
        roots = {name.split(".")[0] for name in imports(tree)} - sys.stdlib_module_names
        assert floor_of(path) > 2 or roots <= {"numpy", "torch", "offpcc"}, path
        assert part(path) != "plot" or "torch" not in roots, path


@pytest.mark.parametrize("place", ["algorithms", "replay", "collect"])
def test_nothing_that_learns_or_collects_asks_what_the_memory_is(place: str) -> None:
    for path, tree in LIBRARY.items():
        if part(path) == place:
            assert not [name for name in names(tree) if "recurrent" in name.lower()], path
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
            asks = [call for call in calls if names(call.func) & {"isinstance", "issubclass"}]
            assert not [ast.unparse(call) for call in asks if names(call) & MEMORIES], path
