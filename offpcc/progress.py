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
        told = f"test return {row['test_return']:.1f} ± {row['test_return_se']:.1f}"
        if "test_success" in row:
            told += f", success {row['test_success']:.2f}"
        if self._shown:
            self._bar.set_postfix_str(told)
            return
        rate = max(row["steps_per_second"], 1e-9)
        left = (self._steps - row["env_steps"]) / rate / 60
        print(
            f"{row['env_steps']:.0f} / {self._steps} steps, {told}, {rate:.0f} steps/s, "
            f"about {left:.0f} min left",
            flush=True,
        )

    def close(self) -> None:
        """Leaves the terminal clean."""
        self._bar.close()
