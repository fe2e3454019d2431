"""Verification: whether an exported file acts as the policy did, over recorded steps."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpcc.deploy.export.deployed_policy import STATE, DeployedPolicy
from offpcc.deploy.export.formats import Play
from offpcc.deploy.export.recording import Recording
from offpcc.envs.actions import Choices
from offpcc.errors import ExportMismatch

ACTION_TOLERANCE = 1e-5  # of half the Box's width
STATE_TOLERANCE = 1e-4
BATCHES = (2, 7)  # at which a free batch axis is run; 2 is the size that is traced


@dataclass(frozen=True)
class Agreement:
    """How far a file's actions and states were off, and how long one step took it."""

    action: float  # largest difference, in halves of the Box's width; share of wrong choices
    state: float  # largest difference
    microseconds: tuple[float, float]  # median and 99th percentile

    def as_dict(self) -> dict[str, Any]:
        """Plain containers."""
        median, slow = self.microseconds
        own = {"action_error": self.action, "state_error": self.state}
        return own | {"microseconds": {"median": median, "p99": slow}}


def verify(deployed: DeployedPolicy, play: Play, recording: Recording, batch: bool) -> Agreement:
    """Plays a file over the recording; it carries its own state.

    batch: also runs it with 2 and with 7 rows. Raises ExportMismatch where it differs.
    """
    state = np.zeros((1, deployed.state_size), np.float32)
    action, after, times = [], [], []
    for step, start in enumerate(recording.starts):
        state = np.zeros_like(state) if start else state
        feed = _feed(deployed, recording.inputs, slice(step, step + 1), state)
        began = time.perf_counter()
        found = play(feed)
        times.append(time.perf_counter() - began)
        state = found[1] if deployed.state_size else state
        action.append(found[0])
        after.append(state)
    played = np.concatenate(action), np.concatenate(after)
    gaps = _agree(deployed, recording, *played, "")
    if batch:
        for rows in BATCHES:
            _agree(
                deployed, recording, *_in_batches(deployed, play, recording, rows), f" of {rows}"
            )
    median, slow = np.percentile(times, (50, 99)) * 1e6
    return Agreement(*gaps, (float(median), float(slow)))


def _in_batches(
    deployed: DeployedPolicy, play: Play, recording: Recording, rows: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Actions and next states of all recorded steps, so many of them at a time."""
    action, after = [], []
    for first in range(0, len(recording.starts), rows):
        span = slice(first, first + rows)
        try:
            found = play(_feed(deployed, recording.inputs, span, recording.state[span]))
        except Exception as error:  # of onnxruntime or torch, which do not say which they raise
            reason = str(error).splitlines()[0]
            raise ExportMismatch(f"a batch of {rows} cannot be run: {reason}") from error
        action.append(found[0])
        after.append(found[1] if deployed.state_size else recording.next_state[span])
    return np.concatenate(action), np.concatenate(after)


def _feed(
    deployed: DeployedPolicy, inputs: Mapping[str, NDArray[Any]], span: slice, state: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    """What a file is given at some steps."""
    given = {each.name: inputs[each.name][span] for each in deployed.inputs}
    return given | ({STATE: state} if deployed.state_size else {})


def _agree(
    deployed: DeployedPolicy,
    recording: Recording,
    action: NDArray[Any],
    state: NDArray[Any],
    batch: str,
) -> tuple[float, float]:
    """The largest differences of actions and states. Raises ExportMismatch for too large ones."""
    state_gap = _largest(np.abs(state - recording.next_state))
    where = f"a batch{batch}" if batch else "the exported policy"
    if state.shape != recording.next_state.shape or action.shape != recording.action.shape:
        raise ExportMismatch(f"{where} gives shapes {action.shape} and {state.shape}")
    gap, wrong = _action_gap(deployed, action, recording.action)
    if wrong.any():
        step = int(np.flatnonzero(wrong)[0])
        raise ExportMismatch(
            f"{where} differs from the run's: at step {step} it gives {action[step]} instead of "
            f"{recording.action[step]}; nothing is written"
        )
    if not state_gap <= STATE_TOLERANCE:
        raise ExportMismatch(
            f"{where} differs from the run's: its state by {state_gap:.1e}, more than "
            f"{STATE_TOLERANCE:g}; nothing is written"
        )
    return gap, state_gap


def _action_gap(
    deployed: DeployedPolicy, action: NDArray[Any], wanted: NDArray[Any]
) -> tuple[float, NDArray[np.bool_]]:
    """The largest difference of actions (T, …), and whether a step's is too large (T,)."""
    rows = len(wanted)
    if isinstance(deployed.actions, Choices):
        wrong = (action != wanted).reshape(rows, -1).any(1)
        return float(wrong.mean()), wrong
    space, half = deployed.actions.space, deployed.actions.scale
    gaps = np.abs(action.astype(np.float64) - wanted).reshape(rows, -1)
    # Numbers of the Box's type are no finer than this.
    grain = np.finfo(wanted.dtype).eps * np.maximum(np.abs(space.low), np.abs(space.high)).ravel()
    wrong = ~(gaps <= ACTION_TOLERANCE * half + grain).all(1)
    return _largest(gaps / np.where(half > 0, half, 1.0)), wrong


def _largest(values: NDArray[Any]) -> float:
    return float(values.max(initial=0.0))
