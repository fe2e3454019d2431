"""Job: a training in a process of its own, as its command line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from offpcc.runs.run_spec import RunSpec

POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
OWN_THREADS = re.compile(r"\s*(TrainingConfig\.)?num_threads\s*=")


@dataclass(frozen=True, eq=False)
class Job:
    """A run to begin, or, with a flag, to continue or replace."""

    request: RunSpec
    flags: tuple[str, ...] = ()  # "--resume", "--overwrite", "--debug"
    waits: bool = False  # until the run's lock is free, as the machine that had it is gone

    @property
    def name(self) -> str:
        """<env>/<algo>/<run_id>."""
        return "/".join(self.request.folder.path.parts[-3:])

    @property
    def finished(self) -> bool:
        """Whether its run has final scores."""
        folder = self.request.folder
        return folder.exists and "final" in folder.read()

    @property
    def own_threads(self) -> bool:
        """Whether the request says how many threads there are."""
        return any(map(OWN_THREADS.match, self.request.bind))

    def words(self, threads: int) -> list[str]:
        """Its command line, with that many threads unless the request asks for others."""
        more = [] if self.own_threads else ["--bind", f"num_threads = {threads}"]
        return [*self.request.arguments, *more, *self.flags]

    def env(self, threads: int) -> Mapping[str, str]:
        """Variables of its environment that set as many threads."""
        return {} if self.own_threads else dict.fromkeys(POOLS, str(threads))
