"""Tiny environments that an algorithm must learn in seconds; two of them need a memory.

Each pays 1 an episode at best. Where a memory is needed, none is worth 0 at best, exactly: the only
action that counts is the last, the observation before it is always the same, and the score is the
mean over all that the episode may have shown.
"""

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from offpcc.algorithms import (
    A2C,
    COPG,
    DDPG,
    DSAC,
    PPO,
    REDQ,
    SAC,
    TD3,
    TQC,
    ActorCritic,
    Agent,
    OffPolicy,
    OnPolicy,
)
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.vector import SequentialEnvs
from offpcc.networks import GRU, LSTM, RNN, Encoder, Identity, MinGRU, Transformer
from offpcc.replay import EpisodeReplay, Rollout
from offpcc.training.collector import Collector
from offpcc.training.evaluator import play


class Probe(gymnasium.Env[Any, Any]):
    """Pays at its end alone; `shown` is what an episode may show, drawn unless it is given."""

    observation_space = Box(-1, 1, (2,))
    action_space = Box(-1, 1, (1,))
    length = 5
    steps = 2_400  # of training
    needs_memory = False
    choices: Sequence[Any] = (None,)

    def __init__(self, shown: Any = None) -> None:
        self.given = shown

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        drawn = self.choices[np.random.default_rng(seed).integers(len(self.choices))]
        self.shown = drawn if self.given is None else self.given
        self.actions: list[float] = []
        return self.seen(), {}

    def step(self, action: Any) -> Any:
        self.actions.append(float(action[0]))
        ended = len(self.actions) == self.length
        return self.seen(), self.pay() if ended else 0.0, ended, False, {}


class OneAction(Probe):
    """One step; pays 1 - (a - ½)²."""

    length, steps = 1, 1_600

    def seen(self) -> Any:
        return np.ones(2)

    def pay(self) -> float:
        return 1 - (self.actions[0] - 0.5) ** 2


class Delayed(Probe):
    """Shows ½ a, a being the first of five actions, and the time; pays 1 - 4 (a - ½)²."""

    def seen(self) -> Any:
        first = self.actions[0] / 2 if self.actions else 0.0
        return np.array([first, len(self.actions) / self.length])

    def pay(self) -> float:
        return 1 - 4 * (self.actions[0] - 0.5) ** 2


class Recall(Probe):
    """Shows c = ±1 once; four steps later pays 1 - 4 (a - ½ c)²."""

    needs_memory = True
    choices = (-1.0, 1.0)

    def seen(self) -> Any:
        return np.array([0.0 if self.actions else self.shown, len(self.actions) / self.length])

    def pay(self) -> float:
        return 1 - 4 * (self.actions[-1] - self.shown / 2) ** 2


class Integrate(Probe):
    """Shows four velocities of ±1, then pays 1 - 4 (a - p)², p their mean, of variance ¼."""

    needs_memory = True
    choices = tuple(product((-1.0, 1.0), repeat=4))

    def seen(self) -> Any:
        step = len(self.actions)
        return np.array([self.shown[step], 0.0] if step < 4 else [0.0, 1.0])

    def pay(self) -> float:
        return 1 - 4 * (self.actions[-1] - np.mean(self.shown)) ** 2


class Picture(Probe):
    """Shows a bright spot once, high (c = 1) or low (-1); two steps later pays 1 - 4 (a - ½ c)²."""

    observation_space = Box(0, 255, (1, 9, 9), np.uint8)
    length = 3
    needs_memory = True
    choices = tuple(product((-1.0, 1.0), (1, 4, 7)))  # c, and how far to the right

    def seen(self) -> Any:
        frame, (c, column) = np.zeros((1, 9, 9), np.uint8), self.shown
        row = 4 - 3 * int(c)
        if not self.actions:
            frame[0, row - 1 : row + 2, column - 1 : column + 2] = 255
        return frame

    def pay(self) -> float:
        return 1 - 4 * (self.actions[-1] - self.shown[0] / 2) ** 2


class Choose(Recall):
    """Shows c = ±1 once; four steps later pays 1 for the choice of its sign, else -1."""

    action_space = Discrete(2)

    def step(self, action: Any) -> Any:
        return super().step([2 * float(action) - 1])

    def pay(self) -> float:
        return self.actions[-1] * self.shown


class Permitted(Choose):
    """The same with six choices, three of each sign, of which a drawn one a sign is legal.

    An illegal one is worth -1 and ends the episode, whatever was shown.
    """

    action_space = Discrete(6)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.random = np.random.default_rng(seed)
        seen, _ = super().reset(seed=seed)
        return seen, self.info()

    def step(self, action: Any) -> Any:
        if not self.legal[action]:
            return self.seen(), -1.0, True, False, {}
        sign = int(action) // 3  # 0 or 1: the choices of Choose
        return *super().step(sign)[:4], self.info()

    def info(self) -> dict[str, Any]:
        self.legal = np.zeros(6, bool)
        self.legal[np.add(self.random.integers(3, size=2), (0, 3))] = True
        return {"action_mask": self.legal}


SETTINGS: dict[type[OffPolicy], dict[str, Any]] = {
    DDPG: {"exploration_noise": 0.3},
    TD3: {"exploration_noise": 0.3},
    SAC: {"temperature": 0.1},
    TQC: {"temperature": 0.1, "top_quantiles_to_drop": 0},
    REDQ: {"temperature": 0.1},
}
DISCRETE: dict[type[OffPolicy], dict[str, Any]] = {DSAC: {"temperature": 0.1}}
MEMORIES = {"Identity": Identity} | {
    kind.__name__: partial(kind, hidden_size=16) for kind in (LSTM, GRU, RNN, MinGRU, Transformer)
}
PROBES = [OneAction, Delayed, Recall, Integrate]
ON_POLICY: dict[type[OnPolicy], dict[str, Any]] = {
    PPO: {"num_epochs": 5, "batch_size": 8, "target_kl": 0.03},
    COPG: {"num_epochs": 5, "batch_size": 8, "target_kl": 0.03},
    A2C: {"ent_coef": 0.01},
}
LENGTHS = {PPO: (20, 12_000), COPG: (20, 12_000), A2C: (5, 60_000)}  # of a rollout, the training


def made(
    algorithm: type[ActorCritic], memory: str, probe: type[Probe], **settings: Any
) -> ActorCritic:
    """A quick learner for a probe."""
    return algorithm(
        EnvAdapter(probe()).spec_of_agent,
        summarizer=MEMORIES[memory],
        hidden_sizes=(32, 32),
        discount=0.95,
        learning_rate=3e-3,
        memory_learning_rate=3e-3,
        seed=1,
        **{**SETTINGS, **DISCRETE, **ON_POLICY}[algorithm] | settings,
    )


def trained(
    algorithm: type[ActorCritic], memory: str, probe: type[Probe], **settings: Any
) -> ActorCritic:
    """An agent that has learned from whole episodes, one batch every other step."""
    agent = made(algorithm, memory, probe, tau=0.05, **settings)
    replay = EpisodeReplay(
        agent.spec, agent.state_size, batch_size=32, sequence_length=None, replay_ratio=0.5
    )
    collector = Collector(agent, [EnvAdapter(probe()) for _ in range(4)], seed=1)
    while collector.steps < probe.steps:
        for episode in collector.step(uniform=collector.steps < 400):
            replay.add(episode)
        for batch in replay.batches(4 * (collector.steps > 400)):
            agent.update(batch)
    return agent


def trained_on_rollouts(
    algorithm: type[ActorCritic], memory: str, probe: type[Probe], **settings: Any
) -> ActorCritic:
    """An agent that has learned from what eight copies played."""
    agent = made(algorithm, memory, probe, **settings)
    rollout, steps = LENGTHS[algorithm]
    replay = Rollout(
        agent.spec, agent.state_size, rollout_steps=rollout, num_envs=8, sequence_length=None
    )
    collector = Collector(
        agent, [EnvAdapter(probe()) for _ in range(8)], seed=1, rollout_steps=rollout
    )
    while collector.steps < steps:
        for segment in collector.step():
            replay.add(segment)
        for batch in replay.batches(8):
            agent.update(batch)
    return agent


def score(agent: Agent, probe: type[Probe]) -> float:
    """The mean greedy return over all that an episode may show."""
    envs = [EnvAdapter(probe(shown)) for shown in probe.choices]
    return float(
        np.mean([s.total for s in play(agent.policy, SequentialEnvs(envs), [0] * len(envs))])
    )


def check(algorithm: type[ActorCritic], memory: str, probe: type[Probe], **settings: Any) -> None:
    train = trained if issubclass(algorithm, OffPolicy) else trained_on_rollouts
    found = score(train(algorithm, memory, probe, **settings), probe)
    if probe.needs_memory and memory == "Identity":
        assert found <= 1e-6
    else:
        assert found >= 0.9


@pytest.mark.parametrize(
    ("algorithm", "memory", "probe"),
    [
        (SAC, "Identity", Delayed),
        (SAC, "LSTM", Recall),
        (SAC, "MinGRU", Integrate),
        (SAC, "Transformer", Recall),
        (TD3, "GRU", Integrate),
        (PPO, "LSTM", Integrate),
        (DSAC, "LSTM", Choose),
        (COPG, "GRU", Choose),
        (A2C, "Identity", OneAction),
    ],
)
def test_what_can_be_learned_is_learned(algorithm, memory, probe) -> None:
    check(algorithm, memory, probe)


@pytest.mark.parametrize(("memory", "probe"), [("Identity", Delayed), ("GRU", Recall)])
def test_actor_and_critic_learn_as_well_apart(memory, probe) -> None:
    check(PPO, memory, probe, separate_updates=True, critic_epochs=3)


@pytest.mark.parametrize(("algorithm", "memory"), [(DSAC, "LSTM"), (PPO, "LSTM")])
def test_what_was_shown_is_remembered_where_only_some_choices_are_legal(algorithm, memory) -> None:
    check(algorithm, memory, Permitted)


def test_without_its_mask_the_same_is_not_learned() -> None:
    class Unmasked(Permitted):
        steps = 1_200

        def info(self) -> dict[str, Any]:
            super().info()
            return {}

    assert score(trained(DSAC, "LSTM", Unmasked), Unmasked) < 0.5


def test_pictures_are_learned_from_and_remembered() -> None:
    encoder = partial(Encoder, channels=8, strides=(2,), picture_features=8)
    check(SAC, "LSTM", Picture, shared=True, random_shift=1, encoder=encoder)


def test_what_no_memory_can_learn_is_not_learned_without_one() -> None:
    class Short(Recall):
        steps = 800

    check(SAC, "Identity", Short)


@pytest.mark.slow
@pytest.mark.parametrize("probe", [*PROBES, Choose])
@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("algorithm", ON_POLICY)
def test_every_on_policy_algorithm_learns_with_every_memory(algorithm, memory, probe) -> None:
    check(algorithm, memory, probe)


@pytest.mark.slow
@pytest.mark.parametrize("probe", [*PROBES, Choose])
@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("algorithm", ON_POLICY)
def test_every_on_policy_algorithm_learns_with_separate_updates(algorithm, memory, probe) -> None:
    check(algorithm, memory, probe, separate_updates=True)


@pytest.mark.slow
@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("algorithm", DISCRETE)
def test_choices_are_learned_off_policy_with_every_memory(algorithm, memory) -> None:
    check(algorithm, memory, Choose)


@pytest.mark.slow
@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("algorithm", SETTINGS)
def test_every_algorithm_learns_with_every_memory(algorithm, memory, probe) -> None:
    check(algorithm, memory, probe)


@pytest.mark.slow
@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("algorithm", SETTINGS)
def test_every_algorithm_learns_with_one_memory_between_actor_and_critic(
    algorithm, memory, probe
) -> None:
    check(algorithm, memory, probe, shared=True)


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_the_value_of_the_one_best_action_is_its_reward(algorithm) -> None:
    agent = trained(algorithm, "Identity", OneAction)
    feature = torch.ones(1, 1, 2)
    action = agent.policy.actor(feature).detach()
    assert action.item() == pytest.approx(0.5, abs=0.15)
    for value in agent.critic(feature, action).mean(-1).flatten().tolist():
        assert value == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("probe", [Recall, Integrate])
def test_no_guess_without_a_memory_is_worth_more_than_0_there(probe) -> None:
    for guess in np.linspace(-1, 1, 21):
        paid = []
        for shown in probe.choices:
            env = probe(shown)
            env.reset()
            paid.append([env.step([guess])[1] for _ in range(probe.length)][-1])
        # 1 - 4 (Var p + (a - E p)²) = -4 a²
        assert np.mean(paid) == pytest.approx(-4 * guess**2)
