"""What all pictures share: colours, panels, legend and caption; no display, no global state."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offpcc.compare.plot.runs import Array, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which colour-blind people can tell apart, those best seen on white first;
# a grey in place of its yellow.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C8C"
)  # fmt: skip
# Five styles and eight colours: 40 algorithms before a pair of them repeats.
STYLES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (6, 1.2, 1.2, 1.2)),
    (0, (1.2, 1)),
    (0, (8, 1.2, 1.2, 1.2, 1.2, 1.2)),
)
INK, FAINT = "#222222", "#dddddd"
WIDTH, HEIGHT = 3.6, 2.8  # of a panel, inches
FEW = 5  # runs below which a bootstrap interval says too much: of 3, 95 % cover about 75


def panels(titles: Sequence[str], height: float = HEIGHT) -> "tuple[Figure, list[Axes]]":
    """Make a figure with one panel per title, three in a row at most; height: inches, of one."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(3, len(titles))
    rows = -(-len(titles) // columns)
    size = WIDTH * max(columns, 1.4), height * rows + 0.7
    layout = ConstrainedLayoutEngine(w_pad=0.08, wspace=0.04, hspace=0.04)  # inches, shares
    figure = Figure(figsize=size, layout=layout)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, title in zip(axes, titles, strict=False):
        _dress(panel, title)
    for spare in axes[len(titles) :]:
        spare.remove()
    return figure, list(axes[: len(titles)])


def _dress(panel: "Axes", title: str) -> None:
    panel.set_title(title, fontsize=10, color=INK)
    panel.grid(color=FAINT, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color("#888888")
    panel.tick_params(colors=INK, labelsize=8, length=3)
    panel.margins(x=0)


def draw(
    panel: "Axes",
    x: Array,
    line: Array,
    band: tuple[Array, Array],
    place: int,
    width: float = 1.6,
) -> Any:
    """Draw a line (G,) over its band, in the colour and style of that place; returns the line.

    width: of the line, points.
    """
    colour, style = COLOURS[place % len(COLOURS)], STYLES[place % len(STYLES)]
    panel.fill_between(x, *band, color=colour, alpha=0.18, linewidth=0)
    marker = "o" if len(x) == 1 else None  # a line through one point would be invisible
    (drawn,) = panel.plot(
        x, line, color=colour, linestyle=style, linewidth=width, marker=marker, markersize=4
    )
    return drawn


def finish(figure: "Figure", legend: dict[str, Any], caption: str, path: Path) -> Path:
    """Add the legend {name: line} above and the caption below, and write the file."""
    width = figure.get_figwidth()
    if legend:
        figure.legend(
            list(legend.values()),
            list(legend),
            loc="outside upper center",
            ncols=_columns(list(legend), width),
            frameon=False,
            fontsize=9,
            handlelength=2.8,
        )
    text = _wrapped(caption, int(width * 17))  # about 17 of these letters an inch
    figure.supxlabel(text, fontsize=7.5, color="#555555")
    figure.savefig(path, dpi=200)
    return path


def _columns(names: Sequence[str], width: float) -> int:
    """Choose how many names stand side by side; about 14 of these letters an inch."""
    inches = [0.75 + len(name) / 14 for name in names]
    return len(names) if sum(inches) <= width else max(1, int(width / max(inches)))


def _wrapped(caption: str, width: int) -> str:
    """Break a caption into as few lines as fit the width, about equally long."""
    lines = -(-len(caption) // width)
    return textwrap.fill(caption, min(width, len(caption) // lines + 6))


def runs_in_words(tree: Mapping[str, Mapping[str, Sequence[Run]]]) -> str:
    """Say how many runs {env: {algo: runs}} a line stands for: "5 runs", or line by line."""
    counts: dict[str, set[int]] = {}
    for group in tree.values():
        for algo, members in group.items():
            counts.setdefault(algo, set()).add(len(members))
    spans = {_span(each) for each in counts.values()}
    if len(spans) == 1:
        return f"{(span := spans.pop())} run{'' if span == '1' else 's'}"
    return f"runs ({', '.join(f'{algo}: {_span(counts[algo])}' for algo in sorted(counts))})"


def caution(tree: Mapping[str, Mapping[str, Sequence[Any]]]) -> str:
    """Say what to hold against the intervals of {env: {algo: runs}}, if there are few runs."""
    least = min(len(members) for group in tree.values() for members in group.values())
    if least >= FEW:
        return ""
    single = " A single run has no interval." if least == 1 else ""
    return f"{single} Intervals of fewer than {FEW} runs are too narrow."


def episodes_in_words(runs: Sequence[Run]) -> str:
    """Say how many evaluation episodes a point of one run stands for."""
    numbers = {run.eval_episodes for run in runs}
    known = {number for number in numbers if number is not None}
    if known != numbers:
        return "an unrecorded number of evaluation episodes"
    return f"{_span(known)} evaluation episode{'' if known == {1} else 's'}"


def _span(numbers: set[int]) -> str:
    return " to ".join(str(number) for number in sorted({min(numbers), max(numbers)}))
