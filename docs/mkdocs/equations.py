"""A MkDocs hook: equations in LaTeX become MathML, which browsers draw without a script."""

import html
import re

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

# As the Markdown extension `arithmatex` marks them: a div for a block, a span within a line.
EQUATION = re.compile(r'<(div|span) class="arithmatex">\\[\[(](.*?)\\[\])]</\1>', re.DOTALL)

# Names of several letters, log and sg; without a space, log π reads logπ.
NAME = re.compile(
    '<mi>[a-z]{2,}</mi>|<mrow>(?:<mi mathvariant="normal">[^<]*</mi>){2,}</mrow>', re.IGNORECASE
)
SPACE = '<mspace width="0.17em"/>'


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with its equations as MathML."""
    return EQUATION.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    block = found[1] == "div"
    equation = convert(html.unescape(found[2]).strip(), display="block" if block else "inline")
    equation = NAME.sub(rf"{SPACE}\g<0>{SPACE}", equation)
    return f"<p>{equation}</p>" if block else equation
