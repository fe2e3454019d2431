"""Prints the table of scores that `launch.py --evaluate` found for the runs in a results folder."""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

HEAD = (
    "| task | algorithm | steps | previous action an input | episodes | median | each run "
    "| success |\n|---|---|---|---|---|---|---|---|"
)
Told = tuple[float, bool, int, float | None]


def main(folder: Path) -> None:
    """One row for each environment and algorithm, of the runs that have been evaluated."""
    rows: dict[tuple[str, str, int], list[Told]] = defaultdict(list)
    for file in sorted(folder.glob("*/*/*/evaluation.json")):
        score, run = (
            json.loads(file.read_text()),
            json.loads((file.parent / "run.json").read_text()),
        )
        seen = "previous_action" in run["spec"]["observation"]
        key = (run["env"], run["algo"], int(run["final"]["env_steps"]))
        row = score["test_return"], seen, score["episodes"], score.get("test_success")
        rows[key].append(row)
    print(HEAD)
    for (env, algo, steps), runs in sorted(rows.items()):
        returns = [run[0] for run in runs]
        success = ", ".join(f"{run[3]:.2f}" for run in runs if run[3] is not None)
        each = ", ".join(f"{value:.1f}" for value in returns)
        seen, episodes = "yes" if runs[0][1] else "no", runs[0][2]
        median = f"{statistics.median(returns):.1f}"
        cells = (env, algo, f"{steps:,}", seen, str(episodes), median, each, success)
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results"))
