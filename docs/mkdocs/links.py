"""MkDocs hooks: the files beside docs/ that pages link to, and notebooks, become pages of the site.

Pages are written for a checkout, where they link to source files, configs and reports. On the site
each of these files has a page below source/, and the links lead there.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LANGUAGES = {".py": "python", ".gin": "python", ".toml": "toml", ".cff": "yaml", "": "text"}
SHOWN = {".md", ".py", ".gin", ".toml"}  # of a folder
LINK = re.compile(r"\]\((?!\w+:|[#/])([^)#\s]+)")  # the path, without its anchor
INDENT = re.compile(r"^ +", re.MULTILINE)
FENCED = re.compile(r"(^```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of notebooks, of the top's own pages, and of all files that pages link to."""
    waiting = [*sorted(DOCS.rglob("*.ipynb")), ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
    waiting += [path for file in files.documentation_pages() for path in _linked(file)]
    while waiting:
        path = waiting.pop()
        if _uri(path) not in files.src_uris:
            file = _file(path, config)
            files.append(file)
            waiting += _linked(file) if file.is_documentation_page() else []
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page as the site's Markdown wants it, with links that lead to pages of the site."""
    folder, here = _path(page.file).parent, os.path.dirname(page.file.src_uri)

    def moved(found: re.Match[str]) -> str:
        path = (folder / unquote(found[1])).resolve()
        if not path.exists():
            return found[0]  # MkDocs complains of it
        return "](" + os.path.relpath(_uri(path), here).replace(" ", "%20")

    parts = FENCED.split(markdown)  # code is at the odd places
    for place in range(0, len(parts), 2):
        # Python-Markdown wants what belongs to an item of a list indented by four spaces, not two.
        text = INDENT.sub(lambda found: 2 * found[0], parts[place])
        parts[place] = LINK.sub(moved, text)
    return "".join(parts)


def _linked(file: File) -> Iterator[Path]:
    """The files and folders of the repository that a page links to."""
    for part in FENCED.split(file.content_string)[::2]:
        for link in LINK.findall(part):
            path = (_path(file).parent / unquote(link)).resolve()
            if path.exists():
                yield path


def _uri(path: Path) -> str:
    """Where the site has a file or a folder of the repository; `_path` is the way back."""
    if path == ROOT / "README.md":
        return "index.md"
    inside = path.is_relative_to(DOCS)
    uri = path.relative_to(DOCS).as_posix() if inside else f"source/{path.relative_to(ROOT)}"
    if path.is_dir():
        return f"{uri}/index.md"
    if path.suffix == ".ipynb":
        return uri.removesuffix(".ipynb") + ".md"
    return f"{uri}.md" if path.suffix in LANGUAGES else uri


def _path(file: File) -> Path:
    """The place in the repository that a page's links start from."""
    uri = file.src_uri
    return ROOT / uri.removeprefix("source/") if uri.startswith("source/") else DOCS / uri


def _file(path: Path, config: MkDocsConfig) -> File:
    """What the site shows of a file or a folder of the repository."""
    if path.is_dir():
        content = _listing(path)
    elif path.suffix == ".ipynb":
        content = _notebook(path)
    elif path.suffix in LANGUAGES:
        content = _code(path)
    else:  # a page, a picture
        return File.generated(config, _uri(path), abs_src_path=str(path))
    return File.generated(config, _uri(path), content=content)


def _listing(folder: Path) -> str:
    """A page with links to all that a folder holds; the rows of reports are not listed."""
    files = [path.relative_to(folder) for path in sorted(folder.rglob("*"))]
    shown = [path for path in files if path.suffix in SHOWN and "rows" not in path.parts]
    lines = [f"* [{path}]({str(path).replace(' ', '%20')})" for path in shown]
    return "\n".join([f"# {folder.relative_to(ROOT)}/", "", *lines])


def _code(path: Path) -> str:
    """A page with a file's text, which searches do not find."""
    name, language = path.relative_to(ROOT), LANGUAGES[path.suffix]
    text = path.read_text(encoding="utf-8")
    return f"---\nsearch: {{exclude: true}}\n---\n\n# {name}\n\n````{language}\n{text}\n````\n"


def _notebook(path: Path) -> str:
    """A page with a notebook's text, code and outputs, and a link to download it."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    link = f'<a href="{path.name}" download>Download this notebook</a>'
    return "\n\n".join([*(part for cell in cells for part in _cell(cell)), link])


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    """A cell as Markdown, and what its run has shown."""
    source = "".join(cell["source"])
    yield f"```python\n{source}\n```" if cell["cell_type"] == "code" else source
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data:
            yield f"![Output](data:image/png;base64,{''.join(data['image/png'].split())})"
        else:
            text = "".join(output.get("text") or data.get("text/plain", []))
            yield f"```text\n{text.rstrip()}\n```"
