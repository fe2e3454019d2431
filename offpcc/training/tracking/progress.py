"""Progress: a bar with rates and time left on a terminal, one plain line an epoch elsewhere."""

import sys
from collections.abc import Mapping

from tqdm import tqdm

from offpcc.training.tracking.time_left import duration, seconds_left

# Without tqdm's own time left, which counts on steps without updates, too.
BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}, {rate_fmt}{postfix}]"


class Progress:
    """A mirror of the rows for the person who waits.

    learning_starts: steps without updates, too fast to estimate the time left from. start:
    the step at which a resumed run goes on.
    """

    def __init__(self, steps: int, start: int = 0, learning_starts: int = 0) -> None:
        self._steps, self._learning_starts = steps, learning_starts
        self._row_at = start  # environment steps
        self._shown = sys.stderr.isatty()
        self._bar = tqdm(
            total=steps,
            initial=start,
            unit="step",
            disable=not self._shown,
            dynamic_ncols=True,
            bar_format=BAR,
        )

    def advance(self, steps: int) -> None:
        """Environment steps that were just made."""
        if self._shown:
            self._bar.update(steps)

    def write(self, row: Mapping[str, float]) -> None:
        """Shows a row."""
        scores, left = _scores(row), self._left(row)
        self._row_at = int(row["env_steps"])
        if self._shown:
            self._bar.set_postfix_str(scores + left)
            return
        rate = f"{row['steps_per_second']:.0f} steps/s"
        print(f"{self._row_at} / {self._steps} steps, {scores}{rate}, {left}", flush=True)

    def close(self) -> None:
        """Leaves the terminal clean."""
        self._bar.close()

    def _left(self, row: Mapping[str, float]) -> str:
        if row["env_steps"] >= self._steps and row.get("updates"):  # resumed for nothing, too
            return "0 s left"
        seconds = seconds_left(row, self._row_at, self._steps, self._learning_starts)
        return "no update yet" if seconds is None else f"{duration(seconds)} left"


def _scores(row: Mapping[str, float]) -> str:
    """What the row says of returns, with a comma behind it; empty where nothing was played."""
    text = ""
    for side in ("train", "test"):
        if f"{side}_return" in row:
            text += f"{side} return {row[f'{side}_return']:.1f} ± {row[f'{side}_return_se']:.1f}, "
    if "test_success" in row:
        text += f"success {row['test_success']:.2f}, "
    return text
