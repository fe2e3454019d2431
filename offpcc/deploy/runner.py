"""Runner: acts with a policy that offpcc has exported. Needs numpy and onnxruntime alone.

This file can be copied to a robot by itself. `python runner.py policy.onnx` replays the steps in
check.npz, which lies beside the policy, and prints how far the actions are off and how long one
takes.
"""

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

FORMAT = 1
KEY = "offpcc"  # of the contract in the file's metadata


class Runner:
    """A policy and its state, from an episode's start (`reset`) to action after action (`act`).

    It acts for one robot, also with a file whose batch axis is free.

    file: policy.onnx; its policy.json may lie beside it, which then has to belong to it. threads:
    of onnxruntime; one is the fastest for policies of usual size.

    `contract` says what the policy reads and gives: see policy.json. `state` (S,) is float32, and
    `session` onnxruntime's own, for those who feed it themselves.

    Raises ValueError for a file that offpcc did not export, or that is damaged.
    """

    def __init__(self, file: str | Path, threads: int = 1) -> None:
        path = Path(file)
        content = path.read_bytes()
        beside = path.with_suffix(".json")
        known = _hash_in(beside) if beside.exists() else None
        if known and known != hashlib.sha256(content).hexdigest():
            raise ValueError(f"{path} is damaged, or not the policy of {beside}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        try:
            self.session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has an exception class of its own for each reason
            raise ValueError(f"{path} is no ONNX file, or damaged: {error}") from error
        metadata = self.session.get_modelmeta().custom_metadata_map
        if KEY not in metadata:
            raise ValueError(f"{path} has no offpcc contract; export it with offpcc --export")
        self.contract: dict[str, Any] = json.loads(metadata[KEY])
        if self.contract["format"] != FORMAT:
            raise ValueError(f"{path} has format {self.contract['format']}, not {FORMAT}")
        self.state = np.zeros(self.contract["state_size"], np.float32)
        self._action_shape = tuple(self.contract["action"]["shape"])

    def reset(self) -> None:
        """Begins an episode: the state is zero."""
        self.state = np.zeros_like(self.state)

    def act(self, observation: Any, **beside: Any) -> Any:
        """The greedy action for an observation, in the environment's shape, type and units.

        observation: as the environment gives it, or {key: array}, or one array for a policy that
        reads one key. beside: the inputs that no observation holds, where the contract has such
        (`action_mask`, `previous_reward`, `previous_action`).

        Raises ValueError for an input that is missing, has another shape, is not finite, or is none
        of the values that it can have, and where action or state are not finite, which so large
        inputs can lead to; the state is then as it was.
        """
        inputs = self.contract["inputs"]
        feed = {each["name"]: _checked(each, _found(each, observation, beside)) for each in inputs}
        unknown = beside.keys() - {each["key"] for each in inputs if each["path"] is None}
        if unknown:
            raise ValueError(f"{sorted(unknown)[0]} is no input of this policy")
        if self.state.size:
            feed["state"] = self.state[None]
        action, *state = self.session.run(None, feed)
        if not all(np.isfinite(each).all() for each in (action, *state)):
            raise ValueError("the policy's action or state is not finite: an input is too large")
        if state:
            self.state = state[0][0]
        return action.reshape(self._action_shape)[()]


def _hash_in(file: Path) -> str | None:
    """The policy's SHA-256 that a policy.json holds; None where the file is another one."""
    try:
        contract = json.loads(file.read_text(encoding="utf-8"))
        return str(contract["sha256"])
    except (ValueError, KeyError, TypeError):
        return None


def _found(field: Mapping[str, Any], observation: Any, beside: Mapping[str, Any]) -> Any:
    """The value of an input, whichever way it came. Raises ValueError where it did not."""
    key, path = field["key"], field["path"]
    if path is None and key in beside:
        return beside[key]
    if isinstance(observation, Mapping) and key in observation:
        return observation[key]
    if path == [] and not isinstance(observation, Mapping):
        return observation
    part = observation
    try:
        for step in path or [key]:
            part = part[step]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"{key} is missing") from error
    return part


def _checked(field: Mapping[str, Any], value: Any) -> np.ndarray:
    """An input's value as the file takes it, (1, …). Raises ValueError for one that is wrong."""
    key, shape, dtype = field["key"], tuple(field["shape"]), np.dtype(field["dtype"])
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError
        if array.size == np.prod(shape) == 1:  # a number may come as an array of one
            array = array.reshape(shape)
        if array.shape != shape:
            raise ValueError(f"{key} has shape {array.shape}; the policy reads {shape}")
        with np.errstate(over="ignore"):
            finite = np.isfinite(array.astype(dtype) if dtype.kind == "f" else array)
        if not finite.all():
            raise ValueError(f"{key} is not finite: {array}")
    except TypeError as error:
        raise ValueError(f"{key} is not of numbers: {value!r}") from error
    if dtype.kind in "iub":
        wrong = array != np.rint(array)
        for bound, beyond in (("low", np.less), ("high", np.greater)):
            if field[bound] is not None:
                wrong = wrong | beyond(array, field[bound])
        if wrong.any():
            known = f"whole numbers from {field['low']} to {field['high']}"
            raise ValueError(f"{key} has {array[wrong][0]}; the policy reads {known}")
    if field.get("choices") and not all(part.any() for part in _parts(array, field["choices"])):
        raise ValueError(f"{key} allows no choice: {array}")
    return array.astype(dtype)[None]


def _parts(mask: np.ndarray, choices: list[int]) -> list[np.ndarray]:
    """The part of an action mask for each part of an action."""
    return np.split(np.ravel(mask), np.cumsum(choices)[:-1])


def replay(file: str | Path) -> str:
    """Acts through check.npz beside a policy; says how far off its actions are, and how fast.

    Raises ValueError, as `Runner` does, and OSError where there is no check.npz.
    """
    runner, gaps, times = Runner(file), [], []
    names = {f"input:{each['name']}": each["key"] for each in runner.contract["inputs"]}
    with np.load(Path(file).with_name("check.npz")) as check:
        steps = {name: check[name] for name in check.files}
    for step, start in enumerate(steps["starts"]):
        given = {key: steps[name][step] for name, key in names.items()}
        if start:
            runner.reset()
        began = time.perf_counter()
        action = runner.act(given)
        times.append(time.perf_counter() - began)
        gaps.append(np.abs(np.asarray(action, np.float64) - steps["action"][step]).max(initial=0))
    median, slow = np.percentile(times, (50, 99)) * 1e6
    return (
        f"{len(gaps)} steps: actions differ by at most {max(gaps):.1e}; "
        f"{median:.0f} µs an action, 99 % within {slow:.0f} µs"
    )


if __name__ == "__main__":
    print(replay(sys.argv[1] if len(sys.argv) > 1 else "policy.onnx"))
