"""The result of a search: a table of its best trials, and the best settings as a config."""

import os
from collections import Counter
from pathlib import Path

from optuna.trial import TrialState

from offpcc.compare.search.search import scored
from offpcc.compare.search.study import REASON, Study
from offpcc.config.bindings import compose
from offpcc.config.config import Config
from offpcc.config.locations import CONFIGS
from offpcc.errors import ConfigError
from offpcc.storage.atomic_io import replace_file

MOST = 10  # trials in the table
STATES = {
    TrialState.COMPLETE: "scored",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "not over",
}


def table(study: Study) -> list[str]:
    """The lines of a table of the best trials, the best first, and what became of the others."""
    space, trials = study.space, study.trials
    rows = [["trial", "score", *space.settings, "run"]]
    for trial in scored(trials)[:MOST]:
        request = space.requests(trial.params, trial.number, results=study.folder)[0]
        chosen = [line.partition(" = ")[2] for line in space.chosen(trial.params)]
        chosen = [_shortened(text) for text in chosen]
        rows.append([f"{trial.number}", f"{trial.value:.2f}", *chosen, f"{request.folder.path}"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    counts = Counter(STATES[trial.state] for trial in trials)
    summary = ", ".join(f"{counts[state]} {state}" for state in STATES.values() if counts[state])
    failed = [t for t in trials if t.state == TrialState.FAIL]
    reasons = [f"failed: trial {t.number}: {t.user_attrs.get(REASON, '')}" for t in failed]
    best = lines if len(rows) > 1 else []
    return [*best, f"{len(trials)} of {space.trials} trials: {summary}", *reasons]


def write_best(study: Study, command: str) -> Path | None:
    """Writes best.gin, which `--config` takes, with the settings of the best trial; gives its path.

    None where no trial has a score. command: the one to name in it. Raises ConfigError where a
    file cannot say what the lines of the space do.
    """
    best = next(iter(scored(study.trials)), None)
    if best is None:
        return None
    space, path = study.space, study.folder / "best.gin"
    request = space.requests(best.params, best.number, results=study.folder)[0]
    head = [
        f"# Score {best.value:.2f}: the mean test_return of the last {space.last_evaluations} "
        f"evaluations{f', over {space.seeds} seeds' if space.seeds > 1 else ''}.",
        f"# Trial {best.number} of {len(study.trials)} in {study.folder / 'study.db'}; its run is "
        f"{request.folder.path}.",
        f"# {command}",
    ]
    recipe = [f"include {_from(study.folder, file)!r}" for file in request.files[1:]]
    chosen = ["", "# Found by the search", *space.chosen(best.params)]
    replace_file(path, "\n".join([*head, *recipe, *space.lines, *chosen]) + "\n")
    if _values(request.compose()) != _values(compose([request.files[0], path])):
        raise ConfigError(
            f"{path} does not say what trial {best.number} was trained with; "
            f"{request.folder / 'config.gin'} does"
        )
    return path


def _values(config: Config) -> dict[str, str]:
    return config.fixed(())


def _from(folder: Path, file: Path) -> str:
    """A file as an include in this folder names it."""
    if file.resolve().is_relative_to(CONFIGS):
        return file.resolve().relative_to(CONFIGS).as_posix()
    return Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()


def _shortened(text: str) -> str:
    """A number with four digits; any other text as it is."""
    try:
        return f"{float(text):.4g}" if "." in text or "e" in text else text
    except ValueError:
        return text
