"""Agent: what every algorithm is to the rest: it acts, it learns from batches, it can be saved."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from offpcc.algorithms.core.part_state import part_state, restore_part
from offpcc.data import AgentSpec, Observation
from offpcc.networks import Actor, Memory, Normalizer
from offpcc.replay.batch import Batch, action_mask_of

Metrics = dict[str, Tensor]


class ActOutput(NamedTuple):
    """What an agent does with n observations, and what it needs at the next ones."""

    action: Tensor  # (n, A) in [-1, 1]
    state: Tensor  # (n, S), of the memories
    noise: Tensor  # (n, E), of the exploration
    log_prob: Tensor | None = None  # (n,), of the action, where its learning needs it


class UpdateOutput(NamedTuple):
    """What an update came to; tensors stay on their device."""

    metrics: Metrics  # scalars, named in `columns`
    td_error: Tensor | None = None  # |δ| (B, T), for a replay that draws by priority


class Policy(nn.Module):
    """The acting network alone: normaliser, memory, actor. It holds no state: the caller does."""

    normalizer: Normalizer
    memory: Memory
    actor: Actor

    def __init__(self, normalizer: Normalizer, memory: Memory, actor: Actor) -> None:
        super().__init__()
        self.normalizer, self.memory, self.actor = normalizer, memory, actor

    def initial_state(self, copies: int = 1) -> Tensor:
        """The state (copies, S) before an episode's first observation: zeros."""
        return torch.zeros(copies, self.memory.state_size, device=self.device)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    @torch.no_grad()
    def act(
        self, observation: dict[str, Tensor], state: Tensor, greedy: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Actions (n, A) in [-1, 1] for observations {key: (n, …)}, and the next state (n, S).

        Choices are legal ones where the key `action_mask` says which are. Not greedy: drawn from
        the policy if that is stochastic, with torch's global generator.
        """
        feature, state = self.memory.step(self.normalizer(observation), state)
        mask = action_mask_of(observation)
        action = self.actor(feature, mask) if greedy else self.actor.draw(feature, None, mask)
        return action, state


class PolicyWrapper(Policy):
    """Another policy's parts, for one that acts in another way."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy.normalizer, policy.memory, policy.actor)


class Learner(ABC):
    """What a training needs of an algorithm: it learns from batches, it can be saved.

    `columns` names every metric that `update` may give, each with a line for the reader.
    """

    columns: ClassVar[dict[str, str]]
    packages: ClassVar[tuple[str, ...]] = ()  # that decide its numbers, beside torch and numpy
    observe_after_update: ClassVar[bool] = False  # the normaliser waits for a rollout's update
    spec: AgentSpec
    policy: Policy
    precision: str = "fp32"  # of the passes in an update
    progress: float = 0.0  # share of the training that is done; whoever trains it says so

    @property
    @abstractmethod
    def consecutive_nonfinite(self) -> Tensor:
        """How many of the latest updates, one after another, were left out as not finite: ()."""

    @abstractmethod
    def update(self, batch: Batch) -> UpdateOutput:
        """Learns from one batch."""

    @property
    def deployed(self) -> Policy:
        """The policy that is evaluated, kept and exported; what acts to learn is `policy`."""
        return self.policy

    def reset_slow_copies(self) -> None:
        """Every slow copy of a network starts again from the weights that it follows."""
        return  # most have none

    def prepare(self, read: Callable[[str], tuple[np.ndarray, np.ndarray]]) -> None:
        """Takes what it learns from beside the environment, before a training.

        read: gives an expert's observations (N, X) and those a step later, by the name of their
        source. Raises ValueError where they do not fit the environment.
        """
        return  # most learn from the environment alone

    def observe(self, observation: Observation) -> None:
        """Takes observations {key: (L, …)} into the running normalisation."""
        self.policy.normalizer.observe(observation)

    @abstractmethod
    def parts(self) -> dict[str, Any]:
        """Modules, optimizers, tensors and generators that a checkpoint holds, by name.

        Other state is added in `state_dict` and `load_state_dict`.
        """

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain containers only."""
        return {name: part_state(part) for name, part in self.parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict` in place."""
        for name, part in self.parts().items():
            restore_part(part, state[name])


class Agent(Learner):
    """Networks, optimisers and equations of one algorithm, which acts, too, in a collector."""

    generator: torch.Generator
    state_size: int  # S of the memories' states that `act` takes and gives
    noise_size: int = 0  # E of the exploration noise that goes on from one step to the next

    @abstractmethod
    def act(self, observation: dict[str, Tensor], state: Tensor, noise: Tensor) -> ActOutput:
        """Explores: actions for observations {key: (n, …)}.

        state (n, S) and noise (n, E) are those of the step before, zeros at an episode's start.
        """

    @abstractmethod
    def refresh(self, observation: dict[str, Tensor], state: Tensor | None = None) -> Tensor:
        """The state (n, S) by today's weights, after observations {key: (n, T, …)}.

        state: the one (n, S) before them; None: zeros.
        """

    def acting_parts(self) -> dict[str, nn.Module]:
        """The modules that `act` uses, by attribute; an acting copy has its own of each."""
        return {"policy": self.policy}

    def acting_copy(self, seed: int) -> Self:
        """A copy that acts with weights of its own until `sync`, and shares everything else."""
        twin = copy.copy(self)
        for name, module in self.acting_parts().items():
            setattr(twin, name, copy.deepcopy(module).requires_grad_(False))
        twin.generator = torch.Generator(self.policy.device).manual_seed(seed)
        return twin

    @torch.no_grad()
    def sync(self, learner: "Agent") -> None:
        """Takes over the learner's acting weights and statistics."""
        mine, theirs = (nn.ModuleList(a.acting_parts().values()) for a in (self, learner))
        torch._foreach_copy_(list(mine.parameters()), list(theirs.parameters()))
        for old, new in zip(mine.buffers(), theirs.buffers(), strict=True):
            old.copy_(new)
        self.progress = learner.progress
