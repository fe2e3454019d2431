"""DistributedCollector: experience from workers, a request of several steps at a time."""

import time
from typing import Any, Literal

from offpcc.algorithms import Agent
from offpcc.config.ranges import PositiveFloat, PositiveInt, checked
from offpcc.data import Episode
from offpcc.distributed.pace import Pace
from offpcc.distributed.pool import WorkerPool
from offpcc.distributed.request import CollectRequest, CollectResult, WorkerLost
from offpcc.distributed.roster import Roster
from offpcc.distributed.worker import cpu_weights
from offpcc.envs.vector import VectorEnvAdapter
from offpcc.errors import EnvironmentFault
from offpcc.processes.notices import say_once
from offpcc.replay.batch import episode_as_tensors, episode_from_tensors
from offpcc.training.experience_source import ExperienceSource

COUNTERS = ("version", "until", "uniform", "steps", "reward_terms")


class DistributedCollector(ExperienceSource):
    """Every worker steps its copies so many times; then all that they have played is handed over.

    Workers act with the learner's weights and statistics as they are when the request leaves. They
    wait while the learner learns or, with staleness 1, play the next request: then the weights are
    always those of one request before. How many updates a step is worth does not depend on who is
    faster, and episodes are handed over in the workers' order, so a run can be repeated.

    envs: a copy that says what an agent sees; nothing is played in it. num_envs: copies of each
    worker. timeout: seconds after which a worker that does not answer is lost.

    A lost worker's episodes in progress are lost with it. Another one takes its place, begins the
    next episode of each copy, and plays its share again; `exact` is false from then on.

    Raises WorkersLostError once a worker was lost three times in one request, EnvironmentFault
    where an environment fails: then all that was played before stands.
    """

    @checked
    def __init__(
        self,
        agent: Agent,
        pool: WorkerPool,
        envs: VectorEnvAdapter,
        *,
        num_envs: PositiveInt = 1,
        collect_steps: PositiveInt = 200,
        staleness: Literal[0, 1] = 0,
        timeout: PositiveFloat = 600.0,
    ) -> None:
        self.agent, self.pool, self.envs = agent, pool, envs
        self.num_envs, self.collect_steps, self.staleness = num_envs, collect_steps, staleness
        self.timeout = timeout
        self.waited: float = 0.0
        self.version = self.until = 0  # of the newest request
        self.uniform = False
        self.done = set(range(pool.size))  # workers that have answered it, and in full
        self.asked: set[int] = set()  # workers that have not answered yet
        self.held: dict[int, list[CollectResult]] = {}  # answers, by worker, not handed over yet
        self.roster = Roster(pool, num_envs, self._made)
        self._fault = ""  # of an environment, which ends the run
        self.pace = Pace()
        self.description = (
            f"workers: {pool.size}, copies of the environment in each: {num_envs}, steps of each "
            f"copy in a request: {collect_steps}"
        )

    def step(self, uniform: bool = False) -> list[Episode]:
        """One request; gives what all workers have played for it."""
        self.pace.called(uniform)
        self._refuse_fault()
        if len(self.done) == self.pool.size and not self.held:
            self._request(uniform)
        elif not self.asked and len(self.done) < self.pool.size:  # a fault had ended the run
            self._send()
        self._await()
        self._refuse_fault()
        results = [result for worker in sorted(self.held) for result in self.held[worker]]
        self.held = {}
        if not self.steps:
            self.reward_terms = results[0].reward_terms
        self.steps += sum(result.steps for result in results)
        if self.staleness:
            self._request(uniform)
        self.pace.returns(max(result.seconds for result in results))
        return [episode for result in results for episode in result.episodes]

    def _request(self, uniform: bool) -> None:
        """Asks every worker for the next steps."""
        self.version, self.until = self.version + 1, self.until + self.collect_steps
        self.uniform, self.done = uniform, set()
        self._send()

    def _send(self) -> None:
        """Asks the workers that have not finished the newest request."""
        weights = cpu_weights(self.agent.acting_parts())
        self.request = CollectRequest(
            self.version, weights, self.agent.progress, self.until, self.uniform
        )
        self.asked = set(range(self.pool.size)) - self.done
        self.pool.send(self.request, sorted(self.asked))

    def _await(self) -> None:
        """Holds what the workers answer, once all of them have."""
        since = time.perf_counter()
        while self.asked:
            for worker, answer in self.pool.receive(self.pace.patience(self.timeout)).items():
                if isinstance(answer, WorkerLost):
                    self.held.pop(worker, None)
                    self.roster.replace(worker, answer)
                    self.pool.send(self.request, [worker])
                else:
                    self._take(worker, answer)
        self.waited += time.perf_counter() - since
        self._count_losses()

    def _take(self, worker: int, result: CollectResult) -> None:
        if result.version != self.version:
            raise RuntimeError(
                f"worker {worker} answers request {result.version}, not {self.version}"
            )
        for notice in result.notices:
            say_once(*notice)
        self.asked.remove(worker)
        self.held.setdefault(worker, []).append(result)
        self.roster.answered(worker, result.numbers)
        self._fault = self._fault or result.fault
        if not result.fault:
            self.done.add(worker)

    def _refuse_fault(self) -> None:
        """Raises EnvironmentFault where an answer has told of one."""
        if self._fault:
            raise EnvironmentFault(self._fault)

    def state_dict(self) -> dict[str, Any]:
        """Every worker's state, the weights once, and answers that are not handed over yet.

        Waits for the workers, where a request is under way.
        """
        self._await()
        states = self.roster.states()
        self._count_losses()
        weights, *_ = [state.pop("acting") for state in states]
        past = {name: part for state in states for name, part in state.pop("past").items()}
        return {
            **{name: getattr(self, name) for name in COUNTERS},
            "exact": self.exact,
            "done": sorted(self.done),
            "held": {w: [_as_tensors(r) for r in results] for w, results in self.held.items()},
            "acting": weights,
            "numbers": self.roster.numbers,
            "incarnations": self.roster.incarnations,
            "workers": states,
            "past": past,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`: workers play open episodes again, action by action."""
        vars(self).update({name: state[name] for name in COUNTERS})
        self.done = set(state["done"])
        self.roster.numbers, self.roster.incarnations = state["numbers"], state["incarnations"]
        self.held = {w: [_from_tensors(r) for r in results] for w, results in state["held"].items()}
        past: list[dict[str, Any]] = [{} for _ in state["workers"]]
        for name, part in state["past"].items():
            past[int(name.split("-")[0]) // self.num_envs][name] = part
        shared = {"acting": state["acting"]}
        each = [own | shared | {"past": p} for own, p in zip(state["workers"], past, strict=True)]
        self.exact = self.roster.load(each) and state["exact"]
        self._count_losses()

    def _count_losses(self) -> None:
        self.lost_workers = sum(self.roster.incarnations)
        self.exact = self.exact and not self.lost_workers

    def _made(self, worker: int) -> int:
        """Steps that each copy of a worker is to have made before it is asked."""
        return self.until if worker in self.done else self.until - self.collect_steps

    def close(self) -> None:
        """Ends the workers."""
        self.pool.close()
        super().close()


def _as_tensors(result: CollectResult) -> dict[str, Any]:
    """An answer as a checkpoint holds it; what is said of it was said."""
    episodes = [episode_as_tensors(episode) for episode in result.episodes]
    return vars(result) | {"episodes": episodes, "notices": [], "seconds": 0.0}


def _from_tensors(plain: dict[str, Any]) -> CollectResult:
    episodes = [episode_from_tensors(episode) for episode in plain["episodes"]]
    return CollectResult(**(plain | {"episodes": episodes}))
