"""The update that all off-policy algorithms share; each fills in three equations."""

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from offpcc.algorithms.agent import Agent, Notes, Policy
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
    rate: float = 3e-4  # learning rate of the heads
    memory_rate: float = 3e-4  # learning rate of encoders and summarizers
    decay: int | None = None  # updates over which all rates fall to zero, linearly; None: never
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
        self.updates = torch.zeros((), dtype=torch.int64)
        self.bad_in_a_row = torch.zeros((), dtype=torch.int64, device=self.device)
        groups = [group for group in self.parameter_groups() if group["params"]]
        self.optimiser = torch.optim.Adam(groups, fused=True)
        self._rates = [group["lr"] for group in groups]
        self.state_size = self.policy.memory.state_size
        if self.critic_state and not self.shared:
            self.state_size += self.critic_memory.state_size

    def _check(self) -> None:
        """Raises ValueError for settings that cannot work."""
        if not 0 <= self.discount <= 1:
            raise ValueError(f"discount is {self.discount}; γ lies in [0, 1]")
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f"precision is {self.precision!r}; it is fp32 or bf16")
        for name in ("heads", "delay", "decay"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
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
        """Y (B, T, K) from the next step's features: of a' and of the slow critic."""

    @abstractmethod
    def actor_loss(self, h_actor: Tensor, h_critic: Tensor, mask: Tensor) -> Loss:
        """A number to minimise, from this step's features, and metrics beside it."""

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

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What the optimiser moves, at which rates."""
        memories = [*self.policy.memory.parameters(), *self.critic_memory.parameters()]
        return [
            {"params": [*self.policy.actor.parameters()], "lr": self.rate},
            {"params": [*self.critic.parameters()], "lr": self.rate},
            {"params": list(dict.fromkeys(memories)), "lr": self.memory_rate},
        ]

    # What is the same for all.

    def bootstrap(self, batch: Batch, value: Tensor) -> Tensor:
        """Y = r + γ (1 - d) V(h') (B, T, K) of the next values (B, T, K)."""
        reward, terminated = batch.reward.unsqueeze(-1), batch.terminated.unsqueeze(-1)
        return td_target(reward, terminated, value, self.discount)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step on every network that is due; gives metrics named in `columns`."""
        batch = batch.to(self.device)
        due = int(self.updates) % self.delay == 0
        with torch.autocast(
            torch.device(self.device).type, torch.bfloat16, self.precision == "bf16"
        ):
            loss, metrics = self.loss(batch, due)
        self.optimiser.zero_grad()
        loss.backward()
        metrics |= self._step(loss)
        if due:
            slow, online = zip(*self.slow_pairs(), strict=True)
            polyak(_weights(slow), _weights(online), self.polyak)
        self.updates += 1
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
                actor_loss, extra = self.actor_loss(h_actor, h_critic.detach(), batch.mask)
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
                    features[id(memory)] = memory.unroll(observation, state, batch.warm_up)[0]
            return features[id(memory)]

        return unroll

    def _split(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """The states (B, ·) of the actor's and the critic's memory; zero where it is not kept."""
        size = self.policy.memory.state_size
        if self.shared:
            return state, state
        if self.critic_state:
            return state[:, :size], state[:, size:]
        return state, state.new_zeros(len(state), self.critic_memory.state_size)

    def _step(self, loss: Tensor) -> dict[str, Tensor]:
        """Clips the gradients and takes the optimiser's step, unless something is not finite."""
        norms = {
            "actor_gradient": self._clip(self.policy.parameters()),
            "critic_gradient": self._clip(
                [*self.critic.parameters(), *self.critic_memory.parameters()]
            ),
        }
        bad = ~torch.isfinite(torch.stack((loss.detach(), *norms.values()))).all()
        # The fused step does nothing where this is 1; gradient scalers set it the same way.
        self.optimiser.found_inf = bad.float()  # type: ignore[attr-defined]
        for group, rate in zip(self.optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * self._share_left()
        self.optimiser.step()
        self.bad_in_a_row.add_(1).mul_(bad)
        return norms | {"skipped": bad.float()}

    def _share_left(self) -> float:
        """How much of the learning rates is left."""
        return 1.0 if self.decay is None else max(1 - int(self.updates) / self.decay, 0.0)

    def _clip(self, parameters: Iterable[Tensor]) -> Tensor:
        """The gradients' norm, before they are scaled down to at most `clip`."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients:
            return self.bad_in_a_row.new_zeros((), dtype=torch.float32)
        norm = torch.nn.utils.get_total_norm(gradients)
        if self.clip is not None:
            torch._foreach_mul_(gradients, (self.clip / (norm + 1e-6)).clamp(max=1))
        return norm

    @torch.no_grad()
    def act(
        self, observation: dict[str, Tensor], state: Tensor, greedy: bool = False
    ) -> tuple[Tensor, Tensor, Notes]:
        """See `Agent.act`; greedy leaves the exploration out."""
        observation = self.policy.normalizer(observation)
        actor_state, critic_state = self._split(state)
        feature, after = self.policy.memory.step(observation, actor_state)
        if self.critic_state and not self.shared:
            critic_after = self.critic_memory.step(observation, critic_state)[1]
            after = torch.cat((after, critic_after), 1)
        return self.policy.actor(feature) if greedy else self.explore(feature), after, {}

    @torch.no_grad()
    def refresh(self, observation: dict[str, Tensor]) -> Tensor:
        """See `Agent.refresh`."""
        observation = self.policy.normalizer(observation)
        copies = len(next(iter(observation.values())))
        zeros = torch.zeros(copies, self.state_size, device=self.device)
        memories = [self.policy.memory]
        if self.critic_state and not self.shared:
            memories.append(self.critic_memory)
        pairs = zip(memories, self._split(zeros), strict=False)
        return torch.cat([memory.unroll(observation, part)[1] for memory, part in pairs], 1)

    def acting_parts(self) -> dict[str, nn.Module]:
        """The policy, and the critic's memory where its states are kept."""
        parts: dict[str, nn.Module] = {"policy": self.policy}
        if self.critic_state and not self.shared:
            parts["critic_memory"] = self.critic_memory
        return parts


def slow_copy(module: nn.Module) -> Any:
    """A copy that follows by Polyak averaging and never takes a gradient."""
    return copy.deepcopy(module).requires_grad_(False)


def _weights(modules: Iterable[nn.Module]) -> list[Tensor]:
    return [weight for module in modules for weight in module.parameters()]
