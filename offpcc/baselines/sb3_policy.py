"""A model's networks in the three parts of a `Policy`: normalizer, memory, actor."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor, nn
from torch.nn.functional import one_hot

from offpcc.algorithms import Policy
from offpcc.baselines.sb3_vec_env import observation_space
from offpcc.data import AgentSpec


def policy_of(model: Any, sight: "SB3Normalizer", choices: tuple[int, ...]) -> Policy:
    """The model's acting network, which it goes on training, behind what it sees with."""
    memory: Any = NoMemory(sight)
    net, choose = model.policy, model.policy._predict
    if isinstance(net, RecurrentActorCriticPolicy):
        memory = Recall(sight, net)
        choose = memory.choose
    elif not isinstance(model, OnPolicyAlgorithm):
        net = net.actor
    whole: Any = nn.Identity()  # the sight scales already
    actor: Any = SB3DiscreteActor(net, choose, choices)
    return Policy(whole, memory, actor)


class SB3Normalizer(nn.Module):
    """Observations {key: (n, …)} as the model reads them, scaled as a VecNormalize does."""

    mean: Tensor
    std: Tensor

    def __init__(self, spec: AgentSpec, scaled: bool) -> None:
        super().__init__()
        self.space, self.scaled = observation_space(spec), scaled
        self.keys = tuple(spec.observation)
        size = self.space.shape or ()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    def scale(self, mean: np.ndarray, variance: np.ndarray) -> None:
        """Takes moments over."""
        self.mean.copy_(torch.as_tensor(mean))
        self.std.copy_(torch.as_tensor(np.sqrt(variance + 1e-8)))

    def forward(self, observation: dict[str, Tensor]) -> Any:
        """(n, X), or a mapping where there are pictures."""
        if not self.space.shape:
            return {k: observation[k].reshape(-1, *self.space[k].shape) for k in self.keys}  # type: ignore[index]
        row = torch.cat([observation[key].flatten(1) for key in self.keys], -1)
        return ((row - self.mean) / self.std).clamp(-10, 10) if self.scaled else row


class NoMemory(nn.Module):
    """No memory."""

    state_size = 0

    def __init__(self, encoder: SB3Normalizer) -> None:
        super().__init__()
        self.encoder = encoder

    def step(self, observation: dict[str, Tensor], state: Tensor) -> tuple[Any, Tensor]:
        """What is seen, and the state (n, 0)."""
        return self.encoder(observation), state


class Recall(nn.Module):
    """The actor's LSTM; a state (n, S) is its h and c of all layers, end to end."""

    def __init__(self, encoder: SB3Normalizer, policy: RecurrentActorCriticPolicy) -> None:
        super().__init__()
        self.encoder = encoder
        self._policy: Callable[[], RecurrentActorCriticPolicy] = lambda: policy  # the actor's
        self.shape = policy.lstm_actor.num_layers, policy.lstm_actor.hidden_size
        self.state_size = 2 * self.shape[0] * self.shape[1]

    def step(self, observation: dict[str, Tensor], state: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, F), and the next state (n, S)."""
        policy = self._policy()
        before = state.view(state.shape[0], 2, *self.shape).permute(1, 2, 0, 3).contiguous()
        seen: Any = policy.extract_features(self.encoder(observation), policy.pi_features_extractor)
        output, after = policy.lstm_actor(seen.unsqueeze(0), (before[0], before[1]))
        return output[0], torch.stack(after).permute(2, 0, 1, 3).flatten(1)

    def choose(self, feature: Tensor, deterministic: bool) -> Tensor:
        """An action from features."""
        policy = self._policy()
        latent = policy.mlp_extractor.forward_actor(feature)
        return policy._get_action_dist_from_latent(latent).get_actions(deterministic)


class SB3DiscreteActor(nn.Module):
    """From features to actions (n, A); choices come out one-hot."""

    def __init__(
        self, net: nn.Module, choose: Callable[..., Tensor], choices: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.net, self._choose, self._choices = net, choose, choices

    def forward(self, feature: Any, action_mask: Tensor | None = None) -> Tensor:
        """The greedy ones; the model knows no action mask."""
        return self._as_agents(self._choose(feature, deterministic=True))

    def draw(
        self, feature: Any, generator: torch.Generator | None = None, action_mask: Any = None
    ) -> Tensor:
        """Drawn ones, by torch's global generator."""
        return self._as_agents(self._choose(feature, deterministic=False))

    def _as_agents(self, action: Tensor) -> Tensor:
        if not self._choices:
            return action
        pairs = zip(action.reshape(len(action), -1).T, self._choices, strict=True)
        return torch.cat([one_hot(part, count).float() for part, count in pairs], -1)
