"""Writes check.npz, which lies beside an exported policy, as text that a C++ program can read.

`python check_to_text.py EXPORT` writes EXPORT/check.txt, numbers and names between white space:

    STEPS STATE_SIZE INPUTS ACTIONS         how many there are of each
    "NAME" TYPE RANK LENGTH …               of each input: its type and shape
    TOLERANCE …                             how far off each number of an action may be
    START INPUT … ACTION … NEXT_STATE …     of each step; START is 1 where an episode starts
"""

import json
import sys
from pathlib import Path

import numpy as np

OF_HALF_WIDTH = 1e-5  # the tolerance of --export


def check_to_text(folder: Path) -> Path:
    """Writes check.txt into the folder of an export, and gives it."""
    contract = json.loads((folder / "policy.json").read_text(encoding="utf-8"))
    with np.load(folder / "check.npz") as check:
        steps = {name: check[name].reshape(len(check["starts"]), -1) for name in check.files}
    inputs = [steps[f"input:{each['name']}"] for each in contract["inputs"]]
    action, state = steps["action"], steps["next_state"]
    table = np.hstack([steps["starts"], *inputs, action, state]).astype(np.float64)
    lines = [
        f"{len(table)} {state.shape[1]} {len(inputs)} {action.shape[1]}",
        *map(_described, contract["inputs"]),
        _row(_tolerance(contract["action"], action)),
        *map(_row, table),
    ]
    file = folder / "check.txt"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _described(field: dict) -> str:
    """The line of an input."""
    shape = " ".join(map(str, [len(field["shape"]), *field["shape"]]))
    return f"{json.dumps(field['name'], ensure_ascii=False)} {field['dtype']} {shape}"


def _tolerance(field: dict, action: np.ndarray) -> np.ndarray:
    """How far off each number of an action may be; choices not at all."""
    if action.dtype.kind != "f":
        return np.zeros(action.shape[1])
    low, high = (np.broadcast_to(field[side], field["shape"]).ravel() for side in ("low", "high"))
    rounding = np.finfo(action.dtype).eps * np.maximum(np.abs(low), np.abs(high))
    return OF_HALF_WIDTH * (high - low) / 2 + rounding


def _row(values: np.ndarray) -> str:
    """Numbers as text that reads back as the same float64."""
    return " ".join(f"{value:.17g}" for value in values)


if __name__ == "__main__":
    print(check_to_text(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
