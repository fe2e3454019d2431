"""What off-policy and on-policy agents share: an actor and a critic with a memory each, or one."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from offpcc.algorithms.core.agent import ActOutput, Agent, Policy
from offpcc.algorithms.core.optimizer import Group, Optimizer
from offpcc.config.ranges import LearningRate, PositiveFloat, Size, UnitFloat, check_fields
from offpcc.data import AgentSpec
from offpcc.networks import Actor, Encoder, Identity, Memory, Normalizer, Summarizer
from offpcc.replay.batch import action_mask_of


@dataclass
class ActorCritic(Agent):
    """Actor and critic, each with a memory of its own, or one between them.

    An actor never reads the key `privileged`; a critic with a memory of its own does.
    """

    spec: AgentSpec
    _: KW_ONLY
    encoder: Callable[[AgentSpec], Encoder] = Encoder
    critic_encoder: Callable[[AgentSpec], Encoder] | None = (
        None  # None: the same kind as the actor's
    )
    summarizer: Callable[[int], Summarizer] = Identity
    # The actor's head, from the spec and the size of the features; None: the algorithm's own.
    actor: Callable[[AgentSpec, int], Actor] | None = None
    shared: bool = False  # one memory for actor and critic
    hidden_sizes: Sequence[Size] = (256, 256)  # units of the heads' layers
    # Of the heads' layers; None: tanh for on-policy heads and actors over choices, else relu.
    activation: Literal["relu", "tanh", "elu", "silu", "gelu", "leaky_relu"] | None = None
    discount: UnitFloat = 0.99  # γ
    learning_rate: LearningRate = 3e-4  # learning rate of the heads
    memory_learning_rate: LearningRate = 3e-4  # learning rate of encoders and summarizers
    anneal_learning_rate: bool = (
        False  # all rates fall to zero, linearly, by the end of the training
    )
    max_grad_norm: PositiveFloat | None = None  # largest gradient norm of each network
    adam_epsilon: PositiveFloat = 1e-8  # ε of Adam
    normalize_observations: bool = False  # observations, by running moments
    critic_state: bool = False  # act also advances the critic's memory, for stored states
    device: str = "cpu"
    seed: int = 0

    actor_methods: ClassVar[tuple[str, ...]] = ()  # that the algorithm calls, of the actor's head

    def __post_init__(self) -> None:
        check_fields(self)
        self._check()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._build()
        home = "cpu" if self.device == "meta" else self.device  # meta: it is only measured
        self.generator = torch.Generator(home).manual_seed(self.seed)
        self._build_optimizers()
        self.state_size = sum(memory.state_size for memory in self._acting_memories())
        self._check_parts()

    def _check(self) -> None:
        """Raises ValueError for settings that do not go together."""

    def _check_parts(self) -> None:
        """Raises TypeError for a part of a subclass that no checkpoint would hold."""
        known = [id(part) for part in self.parts().values()]
        saved = (nn.Module, Optimizer, Tensor, torch.Generator)
        for name, part in vars(self).items():
            if isinstance(part, saved) and id(part) not in known:
                own = f"{type(self).__name__}.parts()"
                raise TypeError(f"{own} lacks {name}: no checkpoint would hold it")

    def _build(self) -> None:
        encode_critic, without_privileged = (
            self.critic_encoder or self.encoder,
            self.spec.without_privileged(),
        )
        seen = without_privileged if self.shared else self.spec
        memory = self.critic_memory = Memory(encode_critic(seen), self.summarizer)
        if not self.shared:
            memory = Memory(self.encoder(without_privileged), self.summarizer)
        elif (mine := self.encoder(without_privileged).keys) != memory.encoder.keys:
            raise ValueError(
                f"with shared, actor and critic read the same keys, not {list(mine)} and "
                f"{list(memory.encoder.keys)}"
            )
        normalizer = Normalizer(self.spec, enabled=self.normalize_observations)
        head = self.own_actor(memory.size) if self.actor else self.make_actor(memory.size)
        self.policy = Policy(normalizer, memory, head)
        self.critic = self.make_critic(self.critic_memory.size)
        for module in (self.policy, self.critic, self.critic_memory):
            module.to(self.device)

    def own_actor(self, inputs: int) -> Actor:
        """The head of the setting `actor`, on features of this size.

        Raises ValueError for one that lacks a method, or whose actions have another shape.
        """
        assert self.actor is not None
        head = self.actor(self.spec.without_privileged(), inputs)
        name = type(head).__name__
        if not isinstance(head, Actor):
            raise ValueError(f"actor makes a {name}; it derives from offpcc.networks.Actor")
        # Actor's own draw is greedy, which is not what an algorithm means that calls it.
        plain = {each: getattr(Actor, each, None) for each in self.actor_methods}
        if missing := [
            k for k, inherited in plain.items() if getattr(type(head), k, None) is inherited
        ]:
            needed = f"{type(self).__name__} calls {', '.join(self.actor_methods)}"
            raise ValueError(f"the actor {name} has no {', '.join(missing)}; {needed}")
        with torch.no_grad():
            found = tuple(head(torch.zeros(1, inputs)).shape)
        if found != (1, self.spec.action):
            raise ValueError(
                f"the actor {name} maps features (1, {inputs}) to actions {found}, "
                f"not (1, {self.spec.action})"
            )
        return head

    def _build_optimizers(self) -> None:
        self.optimizer = Optimizer(self.groups(), self.max_grad_norm, self.adam_epsilon)

    @abstractmethod
    def make_actor(self, inputs: int) -> Actor:
        """The actor's head on features of this size."""

    @abstractmethod
    def make_critic(self, inputs: int) -> nn.Module:
        """The critic's head on features of this size."""

    @abstractmethod
    def sample_action(
        self, feature: Tensor, noise: Tensor, action_mask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Actions (n, A) to try, from features (n, F), the next noise (n, E), and log π (n,).

        action_mask: the legal choices (n, A); None: all.
        """

    def groups(self) -> list[Group]:
        """What the optimizer moves, at which rates; a shared memory is the critic's."""
        groups = [
            Group("actor", [*self.policy.actor.parameters()], self.learning_rate),
            Group("critic", [*self.critic.parameters()], self.learning_rate),
            Group("critic", [*self.critic_memory.parameters()], self.memory_learning_rate),
        ]
        own = [] if self.shared else [*self.policy.memory.parameters()]
        return [*groups, Group("actor", own, self.memory_learning_rate)]

    def learning_rate_scale(self) -> float:
        """The share of the rates that is used at this point of the training."""
        return 1 - self.progress if self.anneal_learning_rate else 1.0

    @property
    def consecutive_nonfinite(self) -> Tensor:
        """See `Agent`."""
        return self.optimizer.consecutive_nonfinite

    @property
    def nbytes(self) -> int:
        """Memory of all networks, gradients and Adam's moments, and of an acting copy, bytes."""
        parts = self.parts().values()
        networks = nn.ModuleList(part for part in parts if isinstance(part, nn.Module))
        tensors = [part for part in parts if isinstance(part, Tensor)]
        groups = [group for part in parts if isinstance(part, Optimizer) for group in part.groups]
        learned = [weight for group in groups for weight in group.parameters]
        held = [*networks.parameters(), *networks.buffers(), *self.policy.parameters(), *tensors]
        return sum(each.nbytes for each in held) + 3 * sum(each.nbytes for each in learned)

    def parts(self) -> dict[str, Any]:
        """See `Learner`; a subclass adds its own."""
        return {
            "policy": self.policy,
            "critic": self.critic,
            "critic_memory": self.critic_memory,
            "optimizer": self.optimizer,
            "generator": self.generator,
        }

    def _acting_memories(self) -> list[Memory]:
        """The memories whose states `act` takes and gives, side by side: the actor's first."""
        both = self.critic_state and not self.shared
        return [self.policy.memory, self.critic_memory] if both else [self.policy.memory]

    def actor_and_critic_state(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """The states (B, ·) of the actor's and the critic's memory; zero where it is not kept."""
        actor, *critic = self._split(state)
        if self.shared:
            return actor, actor
        if critic:
            return actor, critic[0]
        return actor, state.new_zeros(len(state), self.critic_memory.state_size)

    def _split(self, state: Tensor) -> Sequence[Tensor]:
        """The state (B, ·) of each acting memory."""
        return state.split([memory.state_size for memory in self._acting_memories()], 1)

    @torch.no_grad()
    def act(self, observation: dict[str, Tensor], state: Tensor, noise: Tensor) -> ActOutput:
        """See `Agent.act`."""
        observation = self.policy.normalizer(observation)
        pairs = zip(self._acting_memories(), self._split(state), strict=True)
        (feature, after), *others = [memory.step(observation, part) for memory, part in pairs]
        if others:
            after = torch.cat((after, *(other for _, other in others)), 1)
        mask = action_mask_of(observation)
        action, noise, log_prob = self.sample_action(feature, noise, mask)
        return ActOutput(action, after, noise, log_prob)

    @torch.no_grad()
    def refresh(self, observation: dict[str, Tensor], state: Tensor | None = None) -> Tensor:
        """See `Agent.refresh`."""
        observation = self.policy.normalizer(observation)
        copies = len(next(iter(observation.values())))
        if state is None:
            state = torch.zeros(copies, self.state_size, device=self.device)
        pairs = zip(self._acting_memories(), self._split(state), strict=True)
        return torch.cat([memory.unroll(observation, part)[1] for memory, part in pairs], 1)

    def acting_parts(self) -> dict[str, nn.Module]:
        """The policy, and the critic's memory where `act` advances it."""
        both = len(self._acting_memories()) > 1
        return {"policy": self.policy} | ({"critic_memory": self.critic_memory} if both else {})
