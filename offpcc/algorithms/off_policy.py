"""The update that all off-policy algorithms share; each fills in three equations."""

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from offpcc.algorithms.agent import Agent, Notes, Policy
from offpcc.algorithms.optimiser import Group, Optimiser
from offpcc.data import Batch, Spec
from offpcc.functional import frozen, masked_mean, polyak, td_target
from offpcc.networks import Actor, Critic, Encoder, Identity, Memory, Normalizer, Summarizer

Loss = tuple[Tensor, dict[str, Tensor]]


@dataclass
class OffPolicy(Agent):
    """Actor and critic, each with a memory of its own (or one between them), and slow copies.

    All losses take their gradients at the same parameters, in one backward pass and one step of
    the optimiser; the actor's loss sees the critic's features detached and its heads frozen. With
    `shared`, only the critic trains the one memory.
    """

    spec: Spec
    _: KW_ONLY
    encoder: Callable[[Spec], Encoder] = Encoder
    critic_encoder: Callable[[Spec], Encoder] | None = None  # None: the same kind as the actor's
    summarizer: Callable[[int], Summarizer] = Identity
    shared: bool = False  # one memory for actor and critic
    hidden: Sequence[int] = (256, 256)  # units of the heads' layers
    heads: int = 2  # N
    discount: float = 0.99  # γ
    reward_scale: float = 1.0  # the critic learns from rewards times this
    rate: float = 3e-4  # learning rate of the heads
    memory_rate: float = 3e-4  # learning rate of encoders and summarizers
    decay: bool = False  # all rates fall to zero, linearly, by the end of the training
    polyak: float = 0.005  # τ
    delay: int = 1  # the actor and all slow copies move at every delay-th update
    clip: float | None = None  # largest gradient norm, of actor and critic each
    normalize: bool = False  # observations, by running moments
    critic_state: bool = False  # act also advances the critic's memory, for stored states
    precision: str = "fp32"  # or bf16: autocast of all passes in an update
    device: str = "cpu"
    seed: int = 0

    columns: ClassVar[dict[str, str]] = {
        "critic_loss": "half the squared error to the target, summed over the heads",
        "actor_loss": "what the actor minimises",
        "q": "mean value of the replayed actions, over all heads",
        "target": "mean of the critic's target",
        "critic_gradient": "norm of the critic's gradient, its memory's included",
        "actor_gradient": "norm of the actor's gradient, its memory's included",
        "feature_norm": "mean norm of the critic's features",
        "skipped": "share of updates left out because a loss or a gradient was not finite",
    }

    def __post_init__(self) -> None:
        self._check()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._build()
        self.generator = torch.Generator(self.device).manual_seed(self.seed)
        self.optimiser = Optimiser(self.groups(), self.clip)
        self.state_size = sum(memory.state_size for memory in self._carried())

    def _check(self) -> None:
        """Raises ValueError for settings that cannot work."""
        if not 0 <= self.discount <= 1:
            raise ValueError(f"discount is {self.discount}; γ lies in [0, 1]")
        if self.reward_scale <= 0:
            raise ValueError(f"reward_scale is {self.reward_scale}; it must be above 0")
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f"precision is {self.precision!r}; it is fp32 or bf16")
        for name in ("heads", "delay"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")

    def _build(self) -> None:
        encode_critic = self.critic_encoder or self.encoder
        memory = self.critic_memory = Memory(encode_critic(self.spec), self.summarizer)
        if not self.shared:
            memory = Memory(self.encoder(self.spec), self.summarizer)
        normalizer = Normalizer(self.spec, enabled=self.normalize)
        self.policy = Policy(normalizer, memory, self.make_actor(memory.size))
        self.critic = Critic(
            self.critic_memory.size, self.spec.action, self.hidden, heads=self.heads
        )
        for module in (self.policy, self.critic, self.critic_memory):
            module.to(self.device)
        self.target_critic = slow_copy(self.critic)
        self.target_critic_memory = slow_copy(self.critic_memory)

    # What an algorithm fills in. Features h are (B, T, F), values (…, B, T, K).

    @abstractmethod
    def make_actor(self, inputs: int) -> Actor:
        """The actor's head on features of this size."""

    @abstractmethod
    def explore(self, feature: Tensor) -> Tensor:
        """Actions (n, A) to try, from features (n, F)."""

    @abstractmethod
    def critic_target(self, batch: Batch, h_actor: Tensor, h_critic: Tensor) -> Tensor:
        """y (B, T, K) from the next step's features: of a' and of the slow critic."""

    @abstractmethod
    def actor_loss(self, batch: Batch, h_actor: Tensor, h_critic: Tensor) -> Loss:
        """A number to minimise, from this step's features, and metrics beside it."""

    @property
    def bad_in_a_row(self) -> Tensor:
        """See `Agent`."""
        return self.optimiser.bad_in_a_row

    def critic_loss(self, value: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """½ Σ_i (Q_i(h, a) - y)²: values (N, B, T, K), target (B, T, K), mask (B, T)."""
        return masked_mean(0.5 * (value - target).square().sum(0).mean(-1), mask)

    def next_actor_memory(self) -> Memory:
        """The memory from which a' is drawn: the online actor's, or the slow one if shared."""
        return self.target_critic_memory if self.shared else self.policy.memory

    def slow_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Each slow copy with the module that it follows."""
        return [
            (self.target_critic, self.critic),
            (self.target_critic_memory, self.critic_memory),
        ]

    def groups(self) -> list[Group]:
        """What the optimiser moves, at which rates; a shared memory is the critic's."""
        groups = [
            Group("actor", [*self.policy.actor.parameters()], self.rate),
            Group("critic", [*self.critic.parameters()], self.rate),
            Group("critic", [*self.critic_memory.parameters()], self.memory_rate),
        ]
        own = [] if self.shared else [*self.policy.memory.parameters()]
        return [*groups, Group("actor", own, self.memory_rate)]

    # What is the same for all.

    def bootstrap(self, batch: Batch, value: Tensor) -> Tensor:
        """y = r + γ (1 - d) V(h') (B, T, K) of the next values (B, T, K), r being scaled."""
        reward, terminated = batch.reward.unsqueeze(-1), batch.terminated.unsqueeze(-1)
        return td_target(self.reward_scale * reward, terminated, value, self.discount)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step on every network that is due; gives metrics named in `columns`."""
        batch = batch.to(self.device)
        due = self.optimiser.steps % self.delay == 0
        with torch.autocast(
            torch.device(self.device).type, torch.bfloat16, self.precision == "bf16"
        ):
            loss, metrics = self.loss(batch, due)
        metrics |= self.optimiser.step(loss, 1 - self.progress if self.decay else 1.0)
        if due:
            slow, online = zip(*self.slow_pairs(), strict=True)
            polyak(_weights(slow), _weights(online), self.polyak)
        return metrics

    def loss(self, batch: Batch, due: bool) -> Loss:
        """All losses as one number, the actor's only if it is due; and metrics."""
        unroll = self._unroller(batch)
        with torch.no_grad():
            h_next = unroll(self.next_actor_memory())[:, 1:]
            target = self.critic_target(batch, h_next, unroll(self.target_critic_memory)[:, 1:])
        h_critic = unroll(self.critic_memory)[:, :-1]
        value = self.critic(h_critic, batch.action)
        loss = self.critic_loss(value, target, batch.mask)
        metrics = {
            "critic_loss": loss.detach(),
            "q": masked_mean(value.detach().mean(-1), batch.mask),
            "target": masked_mean(target.mean(-1), batch.mask),
            "feature_norm": masked_mean(h_critic.detach().float().norm(dim=-1), batch.mask),
        }
        if due:
            h_actor = unroll(self.policy.memory)[:, :-1]
            h_actor = h_actor.detach() if self.shared else h_actor
            with frozen(self.critic):
                actor_loss, extra = self.actor_loss(batch, h_actor, h_critic.detach())
            metrics |= {"actor_loss": actor_loss.detach()} | extra
            loss = loss + actor_loss
        return loss, metrics

    def _unroller(self, batch: Batch) -> Callable[[Memory], Tensor]:
        """A function from a memory to its features (B, T+1, F) of the batch: one pass each."""
        observation = self.policy.normalizer(batch.observation)
        actor_state, critic_state = self._split(batch.state)
        features: dict[int, Tensor] = {}

        def unroll(memory: Memory) -> Tensor:
            if id(memory) not in features:
                critics = memory in (self.critic_memory, self.target_critic_memory)
                state = critic_state if critics else actor_state
                with torch.enable_grad():
                    features[id(memory)] = memory.unroll(observation, state, batch.burn_in)[0]
            return features[id(memory)]

        return unroll

    def _carried(self) -> list[Memory]:
        """The memories whose states `act` takes and gives, side by side: the actor's first."""
        both = self.critic_state and not self.shared
        return [self.policy.memory, self.critic_memory] if both else [self.policy.memory]

    def _split(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """The states (B, ·) of the actor's and the critic's memory; zero where it is not kept."""
        actor, *critic = state.split([memory.state_size for memory in self._carried()], 1)
        if self.shared:
            return actor, actor
        none = state.new_zeros(len(state), self.critic_memory.state_size)
        return actor, critic[0] if critic else none

    @torch.no_grad()
    def act(
        self, observation: dict[str, Tensor], state: Tensor, greedy: bool = False
    ) -> tuple[Tensor, Tensor, Notes]:
        """See `Agent.act`; greedy leaves the exploration out."""
        observation = self.policy.normalizer(observation)
        pairs = zip(self._carried(), self._split(state), strict=False)
        steps = [memory.step(observation, part) for memory, part in pairs]
        feature, after = steps[0][0], torch.cat([after for _, after in steps], 1)
        return self.policy.actor(feature) if greedy else self.explore(feature), after, {}

    @torch.no_grad()
    def refresh(self, observation: dict[str, Tensor]) -> Tensor:
        """See `Agent.refresh`."""
        observation = self.policy.normalizer(observation)
        copies = len(next(iter(observation.values())))
        zeros = torch.zeros(copies, self.state_size, device=self.device)
        pairs = zip(self._carried(), self._split(zeros), strict=False)
        return torch.cat([memory.unroll(observation, part)[1] for memory, part in pairs], 1)

    def acting_parts(self) -> dict[str, nn.Module]:
        """The policy, and the critic's memory where `act` advances it."""
        both = len(self._carried()) > 1
        return {"policy": self.policy} | ({"critic_memory": self.critic_memory} if both else {})


def slow_copy(module: nn.Module) -> Any:
    """A copy that follows by Polyak averaging and never takes a gradient."""
    return copy.deepcopy(module).requires_grad_(False)


def _weights(modules: Iterable[nn.Module]) -> list[Tensor]:
    return [weight for module in modules for weight in module.parameters()]
