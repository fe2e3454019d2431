"""WorkerEnv: one copy of an environment, as a process of an AsyncVectorEnv holds it.

This module and what it imports are loaded by every process, so none of them imports torch.
"""

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict

from offpcc.data import AgentSpec, Field, Observation
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.make_env import make_env
from offpcc.envs.registration import register_here, registration_of
from offpcc.envs.step_outcome import Outcome
from offpcc.errors import EnvironmentFault
from offpcc.processes import interrupt, lifeline, notices, streams

REPORT = "report"  # the key of an info under which a `Report` goes


class Blueprint(NamedTuple):
    """What another process needs to make a copy of an environment."""

    env: str  # as in `make_env`
    registered: bytes | None  # gymnasium's spec of the id, where no module registers it
    spec: AgentSpec
    settings: Mapping[str, Any]  # the other arguments of `make_env`
    parent: int  # the process whose end is also theirs

    def make(self, copy: int) -> EnvAdapter:
        """The environment. Raises what `make_env` raises, ValueError if the spec is another one."""
        register_here(self.env, self.registered)
        env = make_env(self.env, copy=copy, **self.settings)
        if env.spec_of_agent != self.spec:
            raise ValueError("its spaces in a process of its own are not those that it has here")
        return env


class Report(NamedTuple):
    """What is to be said of a call beside observation, reward and end."""

    success: bool | None = None
    reward_terms: Mapping[str, float] = {}
    fault: str = ""  # an EnvironmentFault's text
    notices: list[tuple[str, str]] = []  # noqa: RUF012 - nobody writes into it


class Made(NamedTuple):
    """How it went to make an environment: no complaint, or one, which may be a fault."""

    complaint: str = ""
    is_fault: bool = False


class WorkerEnv(gymnasium.Env[Any, np.ndarray]):
    """Plays by the calls of an AsyncVectorEnv; an episode that has ended is never stepped.

    The environment itself is made by `make`, in the process that is to hold it. Whatever it raises
    comes back in a `Report`, so the other copies are not left with answers that nobody has read.
    """

    def __init__(self, blueprint: Blueprint, copy: int) -> None:
        spec = blueprint.spec
        self.blueprint, self.copy = blueprint, copy
        self.observation_space = Dict({k: _space(f) for k, f in spec.observation.items()})
        self.action_space = Box(-np.inf, np.inf, (spec.action,), np.float32)
        self.env: EnvAdapter | None = None
        self.latest: Observation = {
            key: np.zeros(field.shape, field.dtype) for key, field in spec.observation.items()
        }
        self.ended = True

    def make(self) -> Made:
        """Makes the environment, in a process that takes its end from its parent."""
        lifeline.end_with(self.blueprint.parent)
        interrupt.leave_to_parent()
        streams.tolerate_write_errors()
        notices.collect()
        try:
            self.env = self.blueprint.make(self.copy)
        except EnvironmentFault as fault:
            return Made(str(fault), is_fault=True)
        except Exception as error:  # it has to be unpickled, which is other people's code
            return Made(str(error) or type(error).__name__)
        return Made()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """The first observation; options: {"episodes": the number of each copy's episode}."""
        assert self.env and options
        try:
            self.latest, _ = self.env.reset(seed=seed, episode=options["episodes"].get(self.copy))
        except EnvironmentFault as fault:
            return self.latest, self._failed(fault)
        self.ended = False
        return self.latest, _info(Report(notices=notices.take()))

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One step of an action (A,) in [-1, 1]; after an episode's end, what nobody reads."""
        if self.ended:
            return self.latest, 0.0, False, False, {}
        assert self.env
        try:
            outcome: Outcome = self.env.play(action)
        except EnvironmentFault as fault:
            return self.latest, 0.0, False, False, self._failed(fault)
        self.latest, self.ended = outcome.seen, outcome.ended
        info = _info(Report(outcome.success, outcome.reward_terms, notices=notices.take()))
        return *outcome[:4], info

    def rest(self) -> None:
        """The episode under way counts as ended."""
        self.ended = True

    def finish(self) -> list[tuple[str, str]]:
        """Closes the environment; gives what is to be said of it."""
        if self.env:
            self.env.close()
        return notices.take()

    def close(self) -> None:
        """Closes the environment and ends the process that holds it, where there is one."""
        for _, line in self.finish():
            print(line, file=sys.stderr, flush=True)
        if self.env:
            # The parent has hung up, of which gymnasium's worker would print a traceback.
            raise SystemExit

    def _failed(self, fault: EnvironmentFault) -> dict[str, Any]:
        self.ended = True
        return _info(Report(fault=str(fault), notices=notices.take()))


def blueprint_of(env: str, spec: AgentSpec, settings: Mapping[str, Any], parent: int) -> Blueprint:
    """What other processes need to make an environment.

    Raises ValueError for an id that is registered with what cannot be sent to another process.
    """
    return Blueprint(env, registration_of(env), spec, settings, parent)


def _space(field: Field) -> Box:
    """The space of values as they are stored, whatever their bounds."""
    if field.dtype == "uint8":
        return Box(0, 255, field.shape, np.uint8)
    return Box(-np.inf, np.inf, field.shape, np.float32)


def _info(report: Report) -> dict[str, Any]:
    """The info that says so; empty where there is nothing to say."""
    return {} if report == Report() else {REPORT: report}
