"""Final scores as Markdown: means with intervals, and who beats whom how often."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from offpcc.compare.plot.picture import caution
from offpcc.compare.plot.runs import MADE, Array, Run, algorithms, by_env
from offpcc.compare.plot.statistics import (
    Tasks,
    bootstrap,
    interquartile_mean,
    mean,
    mean_improvement,
    stratified,
)

SCORES = ("environment", "algorithm", "runs", "final return", "IQM", "env steps", "minutes")
PAIRS = ("environment", "X", "Y", "P(X > Y)")
COSTS = ("environment", "return", "algorithm", "reached by", "env steps", "minutes")

Pairs = Sequence[Sequence[str]]  # of algorithms, (X, Y) each


def table(runs: Sequence[Run], chosen: Pairs = ()) -> str:
    """Give the final scores, best first in each environment, and below them the comparisons.

    chosen: pairs of algorithms to compare; empty: all, but for the trials of a search.
    """
    scores, pairs = [], []
    for env, group in by_env(runs).items():
        finals = {a: np.array([r.final_return() for r in members]) for a, members in group.items()}
        order = sorted(group, key=lambda algo: -finals[algo].mean())
        digits = _digits(np.concatenate(list(finals.values())))
        scores += [_score(group[algo], finals[algo], digits) for algo in order]
        both = [(x, y) for x, y in chosen if x in finals and y in finals]
        known = [algo for algo in order if not group[algo][0].search]  # trials are too many
        compared = both if chosen else combinations(known, 2)
        pairs += [[env, x, y, improvement([finals[x]], [finals[y]])] for x, y in compared]
    timed = any(run.horizon is not None for run in runs)
    last = "evaluations of a run" if not timed else "time that all runs of the environment reached"
    notes = (
        f"Final return: mean of the last 10 % of the {last}, then mean over runs. "
        "IQM: interquartile mean over runs. Brackets: 95 % bootstrap intervals over runs."
        f"{caution(by_env(runs))}\n"
    )
    parts = [markdown(SCORES, scores), notes, *mixtures(runs)]
    if pairs:
        notes = "P(X > Y): chance that a run of X ends above a run of Y; a tie counts half.\n"
        parts += [markdown(PAIRS, pairs), notes]
    return "\n".join(parts)


def mixtures(runs: Sequence[Run]) -> list[str]:
    """Say which runs were made how, a line for each fact in which they differ."""
    lines = []
    for fact in MADE:
        known = [run for run in runs if fact in run.made]
        values = sorted({run.made[fact] for run in known})
        if len(values) > 1:
            parts = [f"{value} ({_named(known, fact, value)})" for value in values]
            lines.append(f"Not all runs have the same {fact}: {', '.join(parts)}.\n")
    return lines


def _named(known: Sequence[Run], fact: str, value: str) -> str:
    """Name the runs with a fact's value: a whole algorithm, or it in an environment, or a run."""
    names = []
    for algo in algorithms(known):
        members = [run for run in known if run.algo == algo]
        if all(run.made[fact] == value for run in members):
            names.append(algo)
            continue
        for env, group in by_env(members).items():
            ids = [run.run_id for run in group[algo] if run.made[fact] == value]
            some = f" ({', '.join(ids)})" if len(ids) < len(group[algo]) else ""
            names += [f"{algo} in {env}{some}"] if ids else []
    return "; ".join(names)  # a name may have a comma


def cost_table(runs: Sequence[Run], aims: Mapping[str, float]) -> str:
    """Give what it took to a return in an environment, fewest steps first: medians over runs."""
    lines = []
    for env, aim in aims.items():
        found = []
        for algo, members in by_env(runs).get(env, {}).items():
            steps = [run.reached(aim, "env_steps") for run in members]
            minutes = [run.reached(aim, "seconds") / 60 for run in members]
            share = f"{int(np.isfinite(steps).sum())} of {len(members)}"
            found.append((np.median(steps), np.median(minutes), algo, share))
        lines += [
            [env, f"{aim:,g}", algo, share, _finite(steps, 0), _finite(minutes, 1)]
            for steps, minutes, algo, share in sorted(found)
        ]
    notes = (
        "What it took to the first evaluation at or above a return: medians over runs, empty "
        "where half of them or more never came there.\n"
    )
    return f"{markdown(COSTS, lines)}\n{notes}"


def _finite(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if np.isfinite(value) else ""


def _score(members: Sequence[Run], finals: Array, digits: int) -> list[str]:
    steps = [run.end("env_steps") for run in members]
    minutes = [run.end("seconds") / 60 for run in members]
    return [
        members[0].env,
        members[0].algo,
        str(len(members)),
        with_interval(mean(finals), bootstrap(finals, mean), digits),
        with_interval(interquartile_mean(finals), bootstrap(finals, interquartile_mean), digits),
        _span(steps, 0),
        _span(minutes, 1 if max(minutes) < 100 else 0),
    ]


def improvement(ours: Tasks, theirs: Tasks) -> str:
    """Give the chance that a run of ours ends above one of theirs, mean over tasks."""
    chance = mean_improvement(ours, theirs)
    return with_interval(chance, stratified(mean_improvement, ours, theirs), 2)


def _digits(values: Array) -> int:
    """Choose the decimals that a column of such values needs."""
    largest = np.abs(values).max()
    return 0 if largest >= 1000 else 1 if largest >= 10 else 2 if largest >= 1 else 3


def with_interval(value: Array, ends: tuple[Array, Array], digits: int) -> str:
    """Lay out a number, with its interval where that is known."""
    text = f"{value:,.{digits}f}"
    if np.isnan(ends[0]):
        return text
    return f"{text} [{ends[0]:,.{digits}f}, {ends[1]:,.{digits}f}]"


def _span(values: Sequence[float], digits: int) -> str:
    texts = [f"{value:,.{digits}f}" for value in (min(values), max(values))]
    return " to ".join(dict.fromkeys(texts))


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table whose columns line up in plain text too."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    cells = ([c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
