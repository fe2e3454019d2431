"""WorkerPool: the workers of a run, wherever they are; LocalPool has them in this process."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from offpcc.distributed.request import CollectRequest, CollectResult, WorkerLost
from offpcc.distributed.worker import CollectorWorker

# Makes the worker with this index; incarnation: how many had its copies before. Can be pickled.
MakeWorker = Callable[[int, int], CollectorWorker]
Answers = dict[int, CollectResult | WorkerLost]  # by the worker's index


class WorkerPool(ABC):
    """A number of workers, each of which answers one request at a time.

    A worker that is made raises ConfigError or EnvironmentFault as in the learner's process.
    """

    def __init__(self, make: MakeWorker, size: int) -> None:
        self.make, self.size = make, size

    @abstractmethod
    def send(self, request: CollectRequest, workers: Sequence[int]) -> None:
        """Asks these workers; none of them has a request under way."""

    @abstractmethod
    def receive(self, timeout: float) -> Answers:
        """What workers that were asked have answered, at least one, or that they are lost.

        One that has not answered so many seconds after it was asked counts as lost.
        """

    @abstractmethod
    def replace(self, worker: int, incarnation: int, numbers: list[int], made: int) -> None:
        """Makes another one in the place of a lost worker: see `CollectorWorker.start_at`."""

    @abstractmethod
    def states(self) -> list[dict[str, Any] | WorkerLost]:
        """The state of every worker; none has a request under way."""

    @abstractmethod
    def load(self, states: Sequence[dict[str, Any]]) -> list[bool | WorkerLost]:
        """Restores `states`; gives of each whether its open episodes came out as they were."""

    @abstractmethod
    def close(self) -> None:
        """Closes all environments and ends all workers."""


class LocalPool(WorkerPool):
    """Workers in this process, which answer in turn."""

    def __init__(self, make: MakeWorker, size: int) -> None:
        super().__init__(make, size)
        self.workers = [make(worker, 0) for worker in range(size)]
        self._asked: dict[int, CollectRequest] = {}

    def send(self, request: CollectRequest, workers: Sequence[int]) -> None:
        """See `WorkerPool`."""
        self._asked |= dict.fromkeys(workers, request)

    def receive(self, timeout: float) -> Answers:
        """See `WorkerPool`."""
        asked, self._asked = self._asked, {}
        return {worker: self.workers[worker].collect(asked[worker]) for worker in asked}

    def replace(self, worker: int, incarnation: int, numbers: list[int], made: int) -> None:
        """See `WorkerPool`."""
        self.workers[worker].close()
        self.workers[worker] = self.make(worker, incarnation)
        self.workers[worker].start_at(numbers, made)

    def states(self) -> list[dict[str, Any] | WorkerLost]:
        """See `WorkerPool`."""
        return [worker.state_dict() for worker in self.workers]

    def load(self, states: Sequence[dict[str, Any]]) -> list[bool | WorkerLost]:
        """See `WorkerPool`."""
        pairs = zip(self.workers, states, strict=True)
        return [worker.load_state_dict(state) for worker, state in pairs]

    def close(self) -> None:
        """See `WorkerPool`."""
        for worker in self.workers:
            worker.close()
