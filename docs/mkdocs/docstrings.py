"""A Griffe extension: offpcc's docstrings, which are plain sentences, laid out for the site.

Descriptions of arguments ("seed: of the run. steps: …") become a list, and "Raises …" a paragraph.
Fields, such as settings, become a table with the comments beside them.
"""

import re
import tokenize
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """Rewrites the docstrings of functions and classes."""

    def on_function(self, *, func: griffe.Function, **kwargs: Any) -> None:
        """Called for each function and method."""
        if func.docstring:
            names = [parameter.name for parameter in func.parameters]
            func.docstring.value = laid_out(func.docstring.value, names)

    def on_class(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Called for each class."""
        if cls.docstring:
            names = [*(parameter.name for parameter in cls.parameters), *cls.attributes]
            text = laid_out(cls.docstring.value, names)
            cls.docstring.value = "\n\n".join([text, *table_of_fields(cls)])
        if "dataclass" in cls.labels:
            cls.members.pop("__init__", None)  # the table says it in fewer lines


def laid_out(text: str, names: Collection[str]) -> str:
    """A docstring with the descriptions of these arguments as a list."""
    text = "\n\n".join(part for each in text.split("\n\n") for part in _parts(each, names))
    return re.sub(r"(?m)(?<=^\* )(.*)\n\n(?=\* )", r"\1\n", text)


def _parts(paragraph: str, names: Collection[str]) -> Iterator[str]:
    """A paragraph, cut before each argument and before what is raised."""
    starts = "|".join([*(f"{re.escape(name)}: " for name in names), "Raises "])
    for part in re.split(rf"(?:^|(?<=[.;]) )(?={starts})", " ".join(paragraph.split())):
        name, colon, rest = part.partition(": ")
        if colon and name in names:
            yield f"* `{name}`: {rest}"
        elif part:
            yield part


def table_of_fields(cls: griffe.Class) -> Iterator[str]:
    """The fields of a class, without inherited ones, as a Markdown table if there are any."""
    rows = [
        f"| `{field.name}` | {_code(field.annotation)} | {_code(field.value)} | {comment} |"
        for field in cls.members.values()
        if isinstance(field, griffe.Attribute) and not field.name.startswith("_")
        if (comment := comment_of(field)) or _is_argument(field)
    ]
    if rows:
        yield "\n".join(["| field | type | default | meaning |", "|---|---|---|---|", *rows])


def _is_argument(field: griffe.Attribute) -> bool:
    """Whether a dataclass takes it, which has no other list of its arguments."""
    labels = field.parent.labels if field.parent else ()
    return "dataclass" in labels and "instance-attribute" in field.labels and bool(field.annotation)


def _code(expression: object) -> str:
    return "" if expression is None else f"`{expression}`"


def comment_of(field: griffe.Attribute) -> str:
    """The comment on a field's lines, or else the one on lines of its own above them."""
    if field.lineno is None or field.endlineno is None:
        return ""
    beside, above = _comments(Path(str(field.filepath)))
    lines = [line for line in range(field.lineno, field.endlineno + 1) if line in beside]
    if lines:
        return " ".join(beside[line] for line in lines)
    first = field.lineno
    while first - 1 in above:
        first -= 1
    return " ".join(above[line] for line in range(first, field.lineno))


@cache
def _comments(file: Path) -> tuple[dict[int, str], dict[int, str]]:
    """The comments of a Python file by line, without `#`: those beside code, those on their own."""
    beside, alone = dict[int, str](), dict[int, str]()
    with tokenize.open(file) as text:
        for token in tokenize.generate_tokens(text.readline):
            if token.type == tokenize.COMMENT:
                found = alone if token.line.lstrip().startswith("#") else beside
                found[token.start[0]] = token.string.lstrip("# ")
    return beside, alone
