"""skrl's SAC_RNN and PPO_RNN with networks of the shape of ours, as skrl's examples build them."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from skrl.agents.torch.ppo import PPO_CFG, PPO_RNN
from skrl.agents.torch.sac import SAC_CFG, SAC_RNN
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from skrl.resources.preprocessors.torch import RunningStandardScaler
from torch import Tensor, nn
from torch.optim.lr_scheduler import LinearLR

Settings = Mapping[str, Any]


class Recurrent(Model):
    """An LSTM whose output, joined by its input, goes through a head of linear layers."""

    def __init__(self, env: Any, settings: Settings, outputs: int, *, takes_actions: bool) -> None:
        super().__init__(
            observation_space=env.observation_space, action_space=env.action_space, device="cpu"
        )
        self.copies, self.length = env.num_envs, settings["sequence_length"]
        self.takes_actions = takes_actions
        self.lstm = nn.LSTM(self.num_observations, settings["hidden_size"], batch_first=True)
        forget_gate = self.lstm.bias_ih_l0.data.view(4, -1)[1]
        nn.init.constant_(forget_gate, settings["forget_gate_bias"])  # as in ours
        first = settings["hidden_size"] + self.num_observations + takes_actions * self.num_actions
        activation = getattr(nn, settings["activation"])
        layers: list[nn.Module] = []
        for before, after in pairwise((first, *settings["hidden_sizes"])):
            norm = [nn.LayerNorm(after)] if settings["layer_norm"] and takes_actions else []
            layers += [nn.Linear(before, after), *norm, activation()]
        self.head = nn.Sequential(*layers, nn.Linear(settings["hidden_sizes"][-1], outputs))

    def get_specification(self) -> dict[str, Any]:
        """What skrl must know to store the state of the memory: h and c."""
        sizes = [(1, self.copies, self.lstm.hidden_size)] * 2
        return {"rnn": {"sequence_length": self.length, "sizes": sizes}}

    def outputs(self, inputs: Mapping[str, Any], role: str) -> tuple[Tensor, list[Tensor]]:
        """The head's outputs (rows, outputs) and the state after the last row.

        In training the rows are windows, one behind the other, and the state comes back to zero
        where an episode ends in one. A target critic reads the next observations, so its windows
        start from the second of the stored states, as in skrl's examples.
        """
        length = self.length if self.training else 1
        observation = inputs["observations"]
        windows = observation.view(-1, length, observation.shape[-1])
        state, ended = list(inputs["rnn"]), torch.zeros(len(windows), length, dtype=torch.bool)
        if self.training:
            first = int(role.startswith("target"))
            state = [part.unflatten(1, (-1, length))[:, :, first].contiguous() for part in state]
            ended = (inputs["terminated"] | inputs["truncated"]).view(-1, length)
        cuts = (ended[:, :-1].any(0).nonzero().flatten() + 1).tolist()
        pieces = []
        for begin, end in pairwise((0, *cuts, length)):
            piece, after = self.lstm(windows[:, begin:end], tuple(state))
            going_on = ~ended[:, end - 1, None] if end < length else torch.ones(1, 1)
            state = [part * going_on for part in after]
            pieces.append(piece)
        parts = [torch.cat(pieces, 1).flatten(0, 1), observation]
        parts += [inputs["taken_actions"]] if self.takes_actions else []
        return self.head(torch.cat(parts, -1)), state


class Policy(GaussianMixin, Recurrent):
    """A normal distribution whose mean is a tanh and whose deviation is a parameter."""

    def __init__(self, env: Any, settings: Settings) -> None:
        Recurrent.__init__(self, env, settings, env.action_space.shape[0], takes_actions=False)
        GaussianMixin.__init__(self)
        self.log_std = nn.Parameter(torch.zeros(self.num_actions))

    def compute(self, inputs: Mapping[str, Any], role: str) -> tuple[Tensor, dict[str, Any]]:
        """Means, and what skrl needs besides."""
        mean, state = self.outputs(inputs, role)
        return mean.tanh(), {"log_std": self.log_std, "rnn": state}


class Values(DeterministicMixin, Recurrent):
    """Values of observations, or of observations and actions."""

    def __init__(self, env: Any, settings: Settings, *, takes_actions: bool) -> None:
        Recurrent.__init__(self, env, settings, 1, takes_actions=takes_actions)
        DeterministicMixin.__init__(self)

    def compute(self, inputs: Mapping[str, Any], role: str) -> tuple[Tensor, dict[str, Any]]:
        """Values, and the state."""
        values, state = self.outputs(inputs, role)
        return values, {"rnn": state}


class SlowerSAC(SAC_RNN):
    """SAC_RNN, which updates at every step, made to update at every n-th one."""

    every = 1

    def update(self, *, timestep: int, timesteps: int) -> None:
        """Skips all timesteps but those."""
        if timestep % self.every == 0:
            super().update(timestep=timestep, timesteps=timesteps)


def sac_rnn(env: Any, settings: Settings) -> SAC_RNN:
    """skrl's SAC_RNN for one environment."""
    every = round(1 / settings["replay_ratio"])
    updates = (settings["steps"] - settings["learning_starts"]) // every
    cfg = SAC_CFG(
        batch_size=settings["batch_size"],
        polyak=settings["tau"],
        learning_starts=settings["learning_starts"],
        initial_entropy_value=settings["temperature"],
        rewards_shaper=lambda reward, *_: settings["reward_scale"] * reward,
        **_shared(env, settings, updates),
    )
    models: dict[str, Model] = {"policy": Policy(env, settings)}
    for name in ("critic_1", "critic_2", "target_critic_1", "target_critic_2"):
        models[name] = Values(env, settings, takes_actions=True)
    agent = SlowerSAC(**_parts(env, models, settings["steps"]), cfg=cfg)
    agent.every = every
    return agent


def ppo_rnn(env: Any, settings: Settings) -> PPO_RNN:
    """skrl's PPO_RNN for copies of an environment."""
    rollout, epochs = settings["rollout_steps"], settings["num_epochs"]
    rollouts = settings["steps"] // (rollout * env.num_envs)
    windows = rollout * env.num_envs // settings["sequence_length"]
    cfg = PPO_CFG(
        rollouts=rollout,
        learning_epochs=epochs,
        mini_batches=windows // settings["batch_size"],
        gae_lambda=settings["gae_lambda"],
        ratio_clip=settings["clip_range"],
        value_clip=settings["clip_range_vf"] or 0,
        value_loss_scale=settings["vf_coef"],
        entropy_loss_scale=settings["ent_coef"],
        value_preprocessor=RunningStandardScaler,
        value_preprocessor_kwargs={"size": 1, "device": "cpu"},
        **_shared(env, settings, rollouts * epochs),
    )
    models: dict[str, Model] = {
        "policy": Policy(env, settings),
        "value": Values(env, settings, takes_actions=False),
    }
    return PPO_RNN(**_parts(env, models, rollout), cfg=cfg)


def _shared(env: Any, settings: Settings, schedule: int) -> dict[str, Any]:
    """Settings of both; schedule: how often skrl steps the schedule of the learning rates."""
    shared: dict[str, Any] = {
        "discount_factor": settings["discount"],
        "learning_rate": settings["learning_rate"],
        "grad_norm_clip": settings["max_grad_norm"] or 0,
        "mixed_precision": settings["mixed_precision"],
        "experiment": {"write_interval": 0, "checkpoint_interval": 0},
    }
    if settings["anneal_learning_rate"]:
        falling = {"start_factor": 1.0, "end_factor": 0.0, "total_iters": schedule}
        shared |= {"learning_rate_scheduler": LinearLR, "learning_rate_scheduler_kwargs": falling}
    if settings["normalize_observations"]:
        shared["observation_preprocessor"] = RunningStandardScaler
        space = {"size": env.observation_space, "device": "cpu"}
        shared["observation_preprocessor_kwargs"] = space
    return shared


def _parts(env: Any, models: dict[str, Model], size: int) -> dict[str, Any]:
    """What both are made of; size: steps of each copy that are stored."""
    return {
        "models": models,
        "memory": RandomMemory(memory_size=size, num_envs=env.num_envs, device="cpu"),
        "observation_space": env.observation_space,
        "action_space": env.action_space,
        "device": "cpu",
    }


PEERS = {"sac_rnn": sac_rnn, "ppo_rnn": ppo_rnn}
