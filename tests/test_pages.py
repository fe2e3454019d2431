"""The pages on algorithms name every algorithm, explain its columns, and tell the true defaults."""

import ast
import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from offpcc import algorithms, baselines
from offpcc.algorithms.core.on_policy import OnPolicy
from offpcc.config.bindings import compose
from offpcc.config.catalog import algorithm_file, check_id
from offpcc.config.catalog import algorithms as names
from offpcc.config.type_check import Macro

FOLDER = Path(__file__).parents[1] / "docs/algorithms"
PAGES = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.md"))}
INDEX = PAGES["README.md"]
CLASSES = [
    kind
    for kind in vars(algorithms).values()
    if isinstance(kind, type) and hasattr(kind, "columns") and not inspect.isabstract(kind)
]
SHARED = [algorithms.ActorCritic, algorithms.OffPolicy, OnPolicy]
# What a run gives them, and networks, which have pages of their own.
PARTS = {
    *("_", "columns", "observe_after_update", "spec", "device", "seed", "critic_state"),
    *("encoder", "critic_encoder", "summarizer", "actor_methods"),
}
BASELINES = [getattr(baselines, name) for name in baselines.__all__ if name != "Baseline"]


def page_of(kind: type) -> str:
    """The name of a class's page: that of its module."""
    return kind.__module__.rpartition(".")[2] + ".md"


def rows(page: str, section: str) -> list[list[str]]:
    """The cells of a page's tables under every heading that begins so, heads included."""
    parts = re.split(r"^#+ ", page, flags=re.MULTILINE)
    text = "\n".join(part for part in parts if part.startswith(section))
    lines = [line for line in text.splitlines() if re.match(r"\| `?\w", line)]
    return [cells(line) for line in lines]


def cells(line: str) -> list[str]:
    """The cells of a table's line."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def explained(page: str) -> set[str]:
    """The columns that a page explains."""
    return {row[0].strip("`") for row in rows(page, "Columns")[1:] if all(row)}


def settings(page: str) -> list[tuple[str, dict[str, str]]]:
    """A page's settings by name, each with its default by algorithm."""
    found, heads = [], list[str]()
    for name, *cells, _ in rows(page, "Settings"):
        if name == "setting":
            heads = [cell.strip("`") for cell in cells]
        else:
            found.append((name.strip("`"), dict(zip(heads, cells, strict=True))))
    return found


@cache
def defaults(algorithm: str) -> dict[str, Any]:
    """What a run without a recipe has for each macro that it uses, and for each argument."""
    config = compose([algorithm_file(algorithm)])
    found, waiting = config.values, sorted(config.macros)
    while waiting:
        macro = waiting.pop()
        value = config.bindings[macro].value
        while isinstance(value, Macro):  # one may stand for another
            waiting.append(value.name)
            value = config.bindings[value.name].value
        found[macro] = value
    return found


@pytest.mark.parametrize("name", names())
def test_every_algorithm_is_named_on_a_page_and_in_the_index(name: str) -> None:
    titles = {file: page.splitlines()[0] for file, page in PAGES.items() if file != "README.md"}
    (file,) = [file for file, title in titles.items() if f"`{name}`" in title]
    assert re.search(rf"^\|[^|]*`{name}`[^|]*\|[^|]*\({file}\)", INDEX, re.MULTILINE)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_column_of_a_class_is_explained_on_its_page(kind: Any) -> None:
    assert explained(PAGES[page_of(kind)]) == set(kind.columns)


def test_every_column_of_the_baselines_is_explained() -> None:
    columns = {column for kind in BASELINES for column in kind.columns}
    assert explained(PAGES["sb3.md"]) == columns


@pytest.mark.parametrize("kind", CLASSES)
def test_every_setting_of_a_class_of_its_own_is_on_its_page(kind: Any) -> None:
    own = set(kind.__annotations__) - {"_", "columns", "actor_methods"}
    there = {name.removeprefix(f"{kind.__name__}.") for name, _ in settings(PAGES[page_of(kind)])}
    assert own <= there


@pytest.mark.parametrize("kind", SHARED)
def test_every_setting_that_algorithms_share_is_in_the_index(kind: Any) -> None:
    there = {name.rpartition(".")[2].removeprefix("update_") for name, _ in settings(INDEX)}
    assert set(kind.__annotations__) - PARTS <= there


@pytest.mark.parametrize("file", [file for file, page in PAGES.items() if settings(page)])
def test_defaults_are_those_of_the_configs(file: str) -> None:
    for name, cells in settings(PAGES[file]):
        for algorithm, cell in cells.items():
            assert (name, ast.literal_eval(cell)) == (name, defaults(algorithm)[name])


def test_commands_are_of_algorithms_and_environments_that_there_are() -> None:
    for page in PAGES.values():
        for env, algorithm in re.findall(r"^python launch.py --env (\S+) --algo (\S+)", page, re.M):
            check_id(env)
            assert algorithm in names()


def test_results_are_those_of_the_page_on_scores() -> None:
    known = (FOLDER.parent / "scores.md").read_text().splitlines()
    for page in PAGES.values():
        shown = [line for line in page.splitlines() if re.match(r"\| [\w-]+-v\d \|", line)]
        assert set(shown) <= set(known)


def test_the_results_page_says_what_the_reports_say() -> None:
    reports = Path(__file__).parents[1].glob("results/suites/*/report.md")
    found = {tuple(cells(line)) for report in reports for line in report.read_text().splitlines()}
    page = (FOLDER.parent / "results.md").read_text().splitlines()
    shown = [tuple(cells(line)) for line in page if line.startswith("| ") and "-v" in line]
    assert shown and not [row for row in shown if row not in found]
