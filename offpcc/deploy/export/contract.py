"""The contract of an exported policy: all that a robot has to know of it, as plain JSON."""

import csv
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import gymnasium
import numpy as np

from offpcc.config import bindings
from offpcc.deploy.export.deployed_policy import PREVIOUS_ACTION, DeployedPolicy
from offpcc.envs.actions import Choices
from offpcc.envs.adapter import EnvAdapter
from offpcc.runs.provenance import versions
from offpcc.storage.run_folder import RunFolder

FORMAT = 1
KNOWN_WRAPPERS = ("gymnasium.wrappers.common", "offpcc.envs", "offpcc.domains")
MAKE_ENV = "make_env."
STEP_TIMES = ("dt", "tau", "control_period")  # attributes that environments have for it


def contract_of(
    folder: RunFolder, deployed: DeployedPolicy, env: EnvAdapter, manifest: Mapping[str, Any]
) -> dict[str, Any]:
    """What is known before the file is written; manifest: of the policy's checkpoint."""
    run = folder.read()
    config = bindings.compose([folder / "config.gin"]).values
    score = score_of(folder, manifest.get("step"))
    units = env.metadata.get("units", {})
    return {
        "format": FORMAT,
        "env": run["env"],
        "algo": run["algo"],
        "seed": run["seed"],
        "make_env": {
            key.removeprefix(MAKE_ENV): json.loads(json.dumps(value, default=repr))
            for key, value in config.items()
            if key.startswith(MAKE_ENV)
        },
        "step": manifest.get("step", score and score["step"]),
        "score": score,
        "weights_sha256": manifest["files"]["policy.pt"]["sha256"],
        "git_commit": run.get("git_commit"),
        "versions": {"training": run.get("versions"), "export": versions()},
        "control_period": control_period(env),
        "inputs": [
            {
                "name": each.name,
                "key": each.key,
                "path": None if each.path is None else list(each.path),
                "shape": list(each.shape),
                "dtype": str(each.dtype),
                "low": _bound(each.low),
                "high": _bound(each.high),
                "unit": units.get(each.key),
            }
            | ({"choices": list(deployed.actions.choices)} if each.is_mask else {})
            for each in deployed.inputs
        ],
        "state_size": deployed.state_size,
        "state_begins": "zeros",
        "previous_action": _previous(deployed),
        "action": _action(deployed) | {"unit": units.get("action")},
    }


def control_period(env: EnvAdapter) -> dict[str, Any]:
    """The seconds between two actions, and where they are from; None where nothing says so."""
    for name in STEP_TIMES:
        seconds = getattr(env.unwrapped, name, None)
        with suppress(TypeError, ValueError):
            if seconds is not None and float(seconds) > 0:
                source = f"the environment's {name}"
                if wrapper := _wrapper(env):
                    source = f"a guess: {source}, inside of {wrapper}"
                return {"seconds": float(seconds), "source": source}
    rate = env.metadata.get("render_fps")
    if rate:
        return {"seconds": 1 / float(rate), "source": "a guess: 1 / render_fps"}
    return {"seconds": None, "source": None}


def _wrapper(env: gymnasium.Env) -> str | None:
    """The outermost wrapper of somebody else's, which may repeat actions."""
    while isinstance(env, gymnasium.Wrapper):
        if not type(env).__module__.startswith(KNOWN_WRAPPERS):
            return type(env).__name__
        env = env.env
    return None


def score_of(folder: RunFolder, step: int | None) -> dict[str, float] | None:
    """The evaluation of the policy, or the last one before it; step: None for the best policy."""
    rows = []
    with suppress(OSError), (folder / "progress.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("test_return")]
    if step is not None:
        rows = [row for row in rows if float(row["env_steps"]) <= step][-1:]
    if not rows:
        return None
    best = max(rows, key=lambda row: float(row["test_return"]))  # the first of equals, as is kept
    score = {name: float(best[name]) for name in ("test_return", "test_return_se") if best[name]}
    return {"step": int(float(best["env_steps"]))} | score


def _previous(deployed: DeployedPolicy) -> str | None:
    """What becomes of the previous action; None where the policy does not read it."""
    if deployed.recalls:
        return (
            "in the state, as the policy chose it; where the robot executes another one, export "
            "with --export-previous input"
        )
    if any(each.key == PREVIOUS_ACTION for each in deployed.inputs):
        return "an input: the action that was executed; the centre of its bounds at first"
    return None


def _action(deployed: DeployedPolicy) -> dict[str, Any]:
    """Shape, type and bounds of the action."""
    actions = deployed.actions
    shape, dtype = tuple(actions.space.shape or ()), str(actions.space.dtype)
    if isinstance(actions, Choices):
        low = np.broadcast_to(actions.start, shape)
        high = low + np.reshape(actions.choices, shape) - 1
    else:
        low, high = actions.space.low, actions.space.high
    bounds = {"low": _bound(low), "high": _bound(high)}
    return {"name": "action", "shape": list(shape), "dtype": dtype} | bounds


def _bound(values: Any) -> Any:
    """A bound as JSON has it: one number where all are alike; None where it is infinite."""
    array = np.asarray(values)
    plain = np.array(array.tolist(), object)
    plain[~np.isfinite(array)] = None
    return plain.flat[0] if (plain == plain.flat[0]).all() else plain.tolist()
