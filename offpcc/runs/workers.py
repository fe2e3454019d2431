"""Workers of a run: what makes them, in whatever process, and the collector that has them."""

from collections.abc import Callable
from dataclasses import dataclass

from offpcc.algorithms import Agent
from offpcc.config import bindings
from offpcc.config.bindings import configured
from offpcc.config.config import Config
from offpcc.data import AgentSpec
from offpcc.distributed.collector import DistributedCollector
from offpcc.distributed.pool import MakeWorker, WorkerPool
from offpcc.distributed.worker import CollectorWorker
from offpcc.envs.registration import register_here
from offpcc.envs.vector import VectorEnvAdapter
from offpcc.errors import ConfigError
from offpcc.runs.env_copies import build_copies
from offpcc.runs.training_config import TrainingConfig
from offpcc.training.collector import Collector

MakePool = Callable[[MakeWorker, int], WorkerPool]


@dataclass(frozen=True)
class MakeRunWorker:
    """Makes a worker of a run, also in a process that knows nothing of it yet."""

    config: str  # the text
    env: str  # an id
    registration: bytes | None  # of the id
    spec: AgentSpec  # of the environment in the learner's process
    seed: int
    keep_states: bool  # whether episodes bring the acting states along

    def __call__(self, worker: int, incarnation: int) -> CollectorWorker:
        """The worker with this index; incarnation: how many had its copies before.

        Raises ConfigError and EnvironmentFault, as they are raised in the learner's process.
        """
        register_here(self.env, self.registration)
        bindings.give(bindings.compose([], [self.config]))
        recipe: TrainingConfig = configured(TrainingConfig)()
        first = worker * recipe.num_envs
        envs = build_copies(self.env, recipe.num_envs, first)
        if envs.spec_of_agent != self.spec:
            raise ConfigError("the environment's spaces in a worker are not those that it has here")
        collector = configured(Collector)(
            recipe.make_agent(self.spec, self.seed, "cpu"),
            envs,
            seed=self.seed,
            first=first,
            keep_states=self.keep_states,
        )
        return CollectorWorker(collector, incarnation)


def ray_pool(address: str | None, make: MakeWorker, size: int) -> WorkerPool:
    """Workers on the Ray cluster at an address, or on one that starts here.

    Raises ImportError where Ray is not installed, ValueError where no cluster answers.
    """
    from offpcc.distributed.ray_pool import RayPool  # an extra, and seconds to import

    return RayPool(make, size, address)


def distributed_collector(
    config: Config,
    recipe: TrainingConfig,
    agent: Agent,
    pool: WorkerPool,
    envs: VectorEnvAdapter,
) -> DistributedCollector:
    """The collector that has these workers; an on-policy agent's asks for a rollout at a time."""
    rollout_steps = config.values["Collector.rollout_steps"]
    return DistributedCollector(
        agent,
        pool,
        envs,
        num_envs=recipe.num_envs,
        collect_steps=rollout_steps or recipe.collect_steps,
        staleness=recipe.staleness,
        timeout=recipe.worker_timeout,
    )
