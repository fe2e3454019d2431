"""The pages of the documentation: their links, their places on the site, and the site itself."""

import importlib
import importlib.util
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CONFIG = DOCS / "mkdocs/mkdocs.yml"
PAGES = sorted([*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb"), *ROOT.glob("*.md")])
FRONT_DOORS = ("offpcc", "offpcc.algorithms", "offpcc.networks", "offpcc.replay")


def name_of(page: Path) -> str:
    """A page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as hosts of repositories make them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def leaves(nav: Any) -> Iterator[str]:
    """The pages of a navigation, in order."""
    if isinstance(nav, str):
        yield nav
    else:
        for item in nav.values() if isinstance(nav, dict) else nav:
            yield from leaves(item)


def in_the_repository(page: str) -> Path:
    """The file that a page of the navigation is made of."""
    path = ROOT / page.removeprefix("source/") if page.startswith("source/") else DOCS / page
    return path if path.exists() else path.with_suffix(".ipynb")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_the_navigation_has_every_page_once() -> None:
    found = [in_the_repository(page) for page in leaves(yaml.safe_load(CONFIG.read_text())["nav"])]
    assert sorted(found) == [page for page in PAGES if page != ROOT / "README.md"]


# The reference


def documented() -> list[str]:
    """The objects that pages of the reference describe."""
    texts = [page.read_text() for page in sorted((DOCS / "api").glob("*.md"))]
    return [name for text in texts for name in re.findall(r"^::: (\S+)$", text, re.MULTILINE)]


def test_the_reference_describes_objects_that_there_are() -> None:
    assert documented() and all(pkgutil.resolve_name(name) for name in documented())


@pytest.mark.parametrize("door", FRONT_DOORS)
def test_the_reference_describes_all_that_is_public(door: str) -> None:
    module = importlib.import_module(door)
    found = [pkgutil.resolve_name(name) for name in documented()]
    missing = [name for name in module.__all__ if getattr(module, name) not in found]
    assert missing in ([], ["__version__"])


# The site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built so that a warning is an error."""
    if not importlib.util.find_spec("mkdocs"):
        pytest.skip("mkdocs is not installed; `make docs` installs it")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(CONFIG)]
    done = subprocess.run([*command, "-d", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_site_loads_nothing_from_the_network(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|iframe|link)\b[^>]*", page.read_text())
        assert not [tag for tag in loaded if re.search(r"(?:src|href)=\W?(?:https?:)?//", tag)]


@pytest.mark.slow
def test_links_to_source_files_lead_to_their_text(site: Path) -> None:
    assert 'href="source/offpcc/data.py.html"' in (site / "running.html").read_text()
    text = re.sub("<[^>]+>", "", (site / "source/offpcc/data.py.html").read_text())
    assert "class Episode:" in text


@pytest.mark.slow
def test_the_reference_lists_arguments_and_settings(site: Path) -> None:
    page = (site / "api/running.html").read_text()
    assert "<li><code>wrappers</code>: classes, or" in page
    rows = re.findall(r"<tr>(.*?)</tr>", (site / "api/algorithms.html").read_text(), re.DOTALL)
    cells = [re.findall(r"<td>(?:<code>)?(.*?)(?:</code>)?</td>", row) for row in rows]
    assert ["clip_range", "PositiveFloat", "0.2", "ε"] in cells


@pytest.mark.slow
def test_equations_are_mathml(site: Path) -> None:
    page = (site / "algorithms/sac.html").read_text()
    source = (DOCS / "algorithms/sac.md").read_text()
    assert page.count("<math") == len(re.findall(r"\$\$.+?\$\$|\$.+?\$", source)) > 0
    assert "arithmatex" not in page and "$" not in re.sub("<[^>]+>", "", page)
