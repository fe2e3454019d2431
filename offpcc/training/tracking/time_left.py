"""The time that a run still takes, and durations in words."""

from collections.abc import Mapping

UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def seconds_left(
    row: Mapping[str, float], row_before: float, steps: int, learning_starts: int = 0
) -> float | None:
    """Seconds from a row to the end of a run, at the rate of the row's steps with updates.

    row: of progress.csv. row_before: the environment steps of the row before it. steps: of the
    whole run. learning_starts: steps without updates, too fast to estimate from. Gives None for a
    row without such steps.
    """
    at, rate = row["env_steps"], row["steps_per_second"]
    made = at - row_before
    learned_from = at - max(row_before, learning_starts)
    if not row.get("updates") or min(made, learned_from) <= 0:
        return None
    seconds = made / max(rate, 1e-9)
    return max(steps - at, 0) * seconds / learned_from


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, size in UNITS:
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
