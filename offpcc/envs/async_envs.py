"""AsyncEnvs: copies of an environment that are stepped at the same time, each in its own process.

The processes are those of gymnasium's AsyncVectorEnv, without its autoreset. Each of them guards
its own copy; here it is seen which of them ends or does not answer.
"""

import atexit
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import connection, resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

from offpcc.data import Observation
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.fault_guard import Call, Guard
from offpcc.envs.step_outcome import Outcome
from offpcc.envs.vector import GymnasiumVectorEnv
from offpcc.envs.worker_env import REPORT, Made, Report, WorkerEnv, blueprint_of
from offpcc.errors import CallTimeout, EnvironmentFault
from offpcc.processes.heartbeat import CLOSE
from offpcc.processes.interrupt import held_back
from offpcc.processes.notices import say_once
from offpcc.processes.supervisor import ending

POLL = 1.0  # seconds between two looks at whether a process lives


class AsyncEnvs(GymnasiumVectorEnv):
    """n copies of an environment, each in a process of its own.

    single: one of it, made before and by the same settings, which are those of `make_env`. The
    numbers are those of `SequentialEnvs`.

    A process that ends, or does not answer in time, is an EnvironmentFault that names its copy. So
    is an environment that cannot be made. Raises ValueError for one that cannot be made in another
    process, and for more processes than the system allows.
    """

    def __init__(self, env_id: str, count: int, single: EnvAdapter, **settings: Any) -> None:
        self.limit, self.guard = single.limit, Guard(count)
        self.last: dict[int, Outcome] = {}
        self._space_adapter = single.space_adapter
        self._answered = True  # whether all processes have answered the latest call
        blueprint = blueprint_of(env_id, single.spec_of_agent, settings, os.getpid())
        self.env = _started([partial(WorkerEnv, blueprint, n) for n in range(count)])
        try:
            self._make()
        except BaseException:
            self.env.close()
            raise

    def _make(self) -> None:
        made: tuple[Made, ...] = self._call(self.guard.constructor, "make")
        for each in made:
            if each.complaint:
                raise (EnvironmentFault if each.is_fault else ValueError)(each.complaint)

    def reset(
        self, seeds: Mapping[int, int], episodes: Mapping[int, int] | None = None
    ) -> list[Observation]:
        """See `VectorEnvAdapter`."""
        if not seeds:
            return []
        each, mask = self._begin(seeds, episodes)
        options = {"reset_mask": mask, "episodes": dict(enumerate(self.guard.episodes))}
        send = partial(self.env.reset_async, each, options)
        observation, info = self._exchange(self.guard.reset, send, self.env.reset_wait)
        self._reports(info)
        for copy in seeds:
            self.last[copy] = Outcome(self._seen(observation, copy), 0.0, False, False)
        return [self.last[copy].seen for copy in seeds]

    def step(self, actions: np.ndarray) -> list[Outcome]:
        """See `VectorEnvAdapter`."""
        self.guard.take(self.space_adapter.raw(actions))
        send = partial(self.env.step_async, actions)
        given = self._exchange(self.guard.step, send, self.env.step_wait)
        observation, rewards, terminated, truncated, info = given
        for copy, report in enumerate(self._reports(info)):
            if not self.last[copy].ended:
                self.last[copy] = Outcome(
                    self._seen(observation, copy),
                    float(rewards[copy]),
                    bool(terminated[copy]),
                    bool(truncated[copy]),
                    report.success,
                    report.reward_terms,
                )
        return [self.last[copy] for copy in range(len(self))]

    def rest(self) -> None:
        """See `VectorEnvAdapter`."""
        self._call(self.guard.step, "rest")
        for copy, last in self.last.items():
            self.last[copy] = last._replace(truncated=True)

    def close(self) -> None:
        """See `VectorEnvAdapter`."""
        self.guard.close_quietly(self._close)

    def _close(self) -> None:
        try:
            for said in self._call(self.guard.close, "finish") if self._answered else ():
                for notice in said:
                    say_once(*notice)
        finally:
            self.env.close()

    def _seen(self, observation: Mapping[str, np.ndarray], copy: int) -> Observation:
        """One copy's row, its keys in the order of the spec."""
        return {key: observation[key][copy] for key in self.space_adapter.spec.observation}

    def _reports(self, info: Mapping[str, Any]) -> list[Report]:
        """What is to be said of each copy. Raises EnvironmentFault for the first that failed."""
        given = info.get(REPORT, [None] * len(self))
        reports = [report or Report() for report in given]
        for report in reports:
            for notice in report.notices:
                say_once(*notice)
        for report in reports:
            if report.fault:
                raise EnvironmentFault(report.fault)
        return reports

    def _call(self, call: Call, method: str) -> tuple[Any, ...]:
        """What a method of each `WorkerEnv` gives."""
        return self._exchange(call, partial(self.env.call_async, method), self.env.call_wait)

    def _exchange(self, call: Call, send: Callable[[], object], receive: Callable[[], Any]) -> Any:
        """What the processes answer. Raises EnvironmentFault for one that ended or does not."""
        self._answered = False
        with call:
            try:
                send()
                self.env.wait_for_answers()
                answers = receive()
            except CallTimeout as error:
                late = self.env.kill_late()
                raise self.guard.fault(str(error), late) from error
            except (EOFError, OSError) as error:  # OSError: nobody takes what is sent
                copy, how = self.env.first_ended()
                what = f"the environment's process ended ({how}) in {call.name}"
                raise self.guard.fault(what, copy) from error
        self._answered = True
        return answers


def _started(workers: Sequence[Callable[[], WorkerEnv]]) -> "WorkerProcesses":
    """The processes. Raises ValueError where they cannot be started."""
    try:
        return WorkerProcesses(workers)
    except (EOFError, ConnectionError) as error:
        raise ValueError(
            "a process ended before it came to its environment; a script of yours needs "
            "`if __name__ == '__main__':` around its calls"
        ) from error
    except OSError as error:
        raise ValueError(
            f"{len(workers)} processes could not be started ({error}); lower num_envs (--envs)"
        ) from error


class WorkerProcesses(AsyncVectorEnv):
    """An AsyncVectorEnv that tells which process it waits for, and leaves none behind.

    Each is a fresh interpreter: a fork of a process with torch's threads may hang.
    """

    def __init__(self, env_fns: Sequence[Callable[[], WorkerEnv]]) -> None:
        self.processes, self.parent_pipes = [], []  # closed where not all could be started
        self._late: set[int] = set()  # copies that have not answered yet
        # It would begin to listen to signals while they are held back.
        resource_tracker.ensure_running()
        try:
            with held_back():
                super().__init__(env_fns, context="spawn", autoreset_mode=AutoresetMode.DISABLED)
        except BaseException:
            self.close()
            raise
        # Python waits at its end for processes that are left, and they take no SIGTERM.
        atexit.register(self.close, terminate=True)

    def wait_for_answers(self) -> None:
        """Returns once each process has answered the latest call, or one has ended.

        Raises EOFError for one that has ended while others hold its pipe.
        """
        self._late = set(range(self.num_envs))
        while self._late:
            ready = connection.wait([self.parent_pipes[copy] for copy in self._late], POLL)
            self._late = {copy for copy in self._late if self.parent_pipes[copy] not in ready}
            if not ready and any(not self.processes[copy].is_alive() for copy in self._late):
                raise EOFError

    def kill_late(self) -> int:
        """Kills the processes that have not answered; gives the first one's copy."""
        for copy in self._late:
            self.processes[copy].kill()
        return min(self._late)

    def first_ended(self) -> tuple[int | None, str]:
        """The first copy whose process has ended, and how."""
        ended = connection.wait([process.sentinel for process in self.processes], POLL)
        for copy, process in enumerate(self.processes):
            if process.sentinel in ended:
                process.join(POLL)  # until its exit code is known
            if process.exitcode is not None:
                return copy, ending(process.exitcode)
        return None, "it hung up"

    def close_extras(self, timeout: float | None = CLOSE, terminate: bool = False) -> None:
        """Hangs up, on which processes close their environments and end; then kills the others."""
        try:
            for pipe in self.parent_pipes:
                with suppress(OSError):  # one that was collected as garbage before
                    pipe.close()
            if not terminate:
                _wait_for_ends(self._started(), timeout or 0.0)
        finally:
            self.kill()

    def kill(self) -> None:
        """Kills what is left of the processes."""
        atexit.unregister(self.close)
        for process in self._started():
            process.kill()
            process.join()

    def _started(self) -> list[BaseProcess]:
        return [process for process in self.processes if process.pid is not None]


def _wait_for_ends(processes: Sequence[BaseProcess], seconds: float) -> None:
    """Returns once all have ended, or so many seconds later."""
    until = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
