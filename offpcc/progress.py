"""Progress: a bar with rates and time left on a terminal, one plain line an epoch elsewhere."""

import sys
from collections.abc import Mapping

from tqdm import tqdm


class Progress:
    """A mirror of the rows for the person who waits."""

    def __init__(self, steps: int, start: int = 0) -> None:
        self._steps = steps
        self._shown = sys.stderr.isatty()
        self._bar = tqdm(
            total=steps, initial=start, unit="step", disable=not self._shown, dynamic_ncols=True
        )

    def advance(self, steps: int) -> None:
        """Environment steps that were just made."""
        if self._shown:
            self._bar.update(steps)

    def write(self, row: Mapping[str, float]) -> None:
        """Shows a row."""
        told = _scores(row)
        if self._shown:
            self._bar.set_postfix_str(told)
            return
        rate = row["steps_per_second"]
        left = _duration(max(self._steps - row["env_steps"], 0) / max(rate, 1e-9))
        print(
            f"{row['env_steps']:.0f} / {self._steps} steps, {told}{rate:.0f} steps/s, {left} left",
            flush=True,
        )

    def close(self) -> None:
        """Leaves the terminal clean."""
        self._bar.close()


def _scores(row: Mapping[str, float]) -> str:
    """What the row says of returns; empty where nothing was played."""
    told = ""
    for side in ("train", "test"):
        if f"{side}_return" in row:
            told += f"{side} return {row[f'{side}_return']:.1f} ± {row[f'{side}_return_se']:.1f}, "
    if "test_success" in row:
        told += f"success {row['test_success']:.2f}, "
    return told


def _duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
