"""Every algorithm that chooses keeps to the legal choices, with and without a memory.

The environments raise where another choice is taken.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from masked import Masked, MaskedVector
from toys import through_the_disk, weights

from offpcc.algorithms import A2C, COPG, DSAC, PPG, PPO, ActorCritic, OffPolicy
from offpcc.data import ACTION_MASK, Episode
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.native_vector_env import NativeVectorEnv
from offpcc.envs.vector import SequentialEnvs, VectorEnvAdapter
from offpcc.networks import LSTM, Identity
from offpcc.replay import EpisodeReplay, Replay, Rollout
from offpcc.replay.batch import Batch
from offpcc.training.collector import Collector
from offpcc.training.evaluator import Evaluator

LEARNERS: dict[type[ActorCritic], dict[str, Any]] = {
    DSAC: {"random_action_prob": 0.3},
    PPO: {"num_epochs": 2},
    COPG: {"num_epochs": 2},
    A2C: {},
    PPG: {"phase_rollouts": 2, "auxiliary_epochs": 1},
}
MEMORIES = [Identity, partial(LSTM, hidden_size=6)]
ON_POLICY = [algorithm for algorithm in LEARNERS if algorithm is not DSAC]


def agent_for(algorithm: type[ActorCritic], envs: VectorEnvAdapter, **settings: Any) -> ActorCritic:
    given = {"hidden_sizes": (8,), "learning_rate": 0.01, "seed": 1}
    return algorithm(envs.spec_of_agent, **given | LEARNERS[algorithm] | settings)


def experience(agent: ActorCritic, envs: VectorEnvAdapter) -> tuple[Collector, Replay]:
    """What an agent plays into, and learns from: windows behind a burn-in, or rollouts."""
    if isinstance(agent, OffPolicy):
        windows = {"sequence_length": 4, "burn_in": 2, "replay_ratio": 0.1}
        replay: Replay = EpisodeReplay(agent.spec, agent.state_size, batch_size=8, **windows)
        return Collector(agent, envs, seed=2, random_action_repeat=3), replay
    rollout = {"rollout_steps": 64, "num_envs": len(envs)}
    return (
        Collector(agent, envs, seed=2, rollout_steps=64),
        Rollout(agent.spec, agent.state_size, sequence_length=8, **rollout),
    )


def played(
    agent: ActorCritic, envs: VectorEnvAdapter, steps: int, uniform: int = 0
) -> Iterator[Episode]:
    """What is handed over while the agent learns from it."""
    collector, replay = experience(agent, envs)
    before = weights(agent)
    while collector.steps < steps:
        for episode in collector.step(uniform=collector.steps < uniform):
            replay.add(episode)
            yield episode
        for batch in replay.batches(len(envs)):
            assert agent.update(batch).metrics["skipped"] == 0
    after = weights(agent)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(values.isfinite().all() for values in after.values())


def copies(kind: str = "discrete", count: int = 2) -> SequentialEnvs:
    return SequentialEnvs(EnvAdapter(Masked(kind)) for _ in range(count))


def cases() -> Iterator[Any]:
    for memory in MEMORIES:
        yield DSAC, "discrete", memory
        for algorithm in ON_POLICY:
            for kind in ("discrete", "several", "binary"):
                if algorithm is PPO or kind == "several":
                    yield algorithm, kind, memory


@pytest.mark.parametrize(("algorithm", "kind", "memory"), list(cases()))
def test_an_illegal_choice_is_never_taken(algorithm, kind, memory) -> None:
    envs = copies(kind)
    agent = agent_for(algorithm, envs, summarizer=memory)
    steps = 0
    for episode in played(agent, envs, steps=2_000, uniform=300):
        legal = episode.observation[ACTION_MASK][:-1]
        assert not (episode.action > 0)[~legal].any()
        assert (episode.action.sum(1) == len(agent.spec.choices)).all()
        steps += len(episode)
    assert steps > 1_900
    scores = Evaluator(envs, episodes=30)(agent.policy)
    assert np.mean([score.length for score in scores]) == 9


def test_what_pays_is_learned_through_the_masks() -> None:
    envs = copies(count=4)
    agent = agent_for(DSAC, envs, target_entropy=0.1)
    for _ in played(agent, envs, steps=3_000, uniform=500):
        pass
    policy = agent.policy
    legal = torch.tensor([[1, 1, 1, 1], [1, 0, 1, 1]]).bool()
    seen = {"observation": torch.tensor([[0.5, 0, 1]] * 2), ACTION_MASK: legal}
    assert policy.act(seen, policy.initial_state(2))[0].tolist() == [[0, 0, 0, 1]] * 2


@pytest.mark.parametrize("algorithm", LEARNERS)
def test_where_all_is_legal_an_agent_learns_what_one_without_a_mask_learns(algorithm) -> None:
    """To the bit; DSAC to rounding, for the mean of log K over a batch rounds log K."""

    class Free(Masked):
        def draw(self) -> None:
            self.mask = np.ones(4, np.int8)

    learned, generators = [], []
    for key in ("action_mask", None):
        envs = SequentialEnvs(EnvAdapter(Free(), action_mask_key=key) for _ in range(2))
        agent = agent_for(algorithm, envs, summarizer=MEMORIES[1])
        assert agent.spec.is_masked == (key is not None)
        episodes = list(played(agent, envs, steps=400, uniform=60))
        assert episodes
        learned.append(weights(agent))
        generators.append(agent.generator.get_state())
    one, other = learned
    assert one.keys() == other.keys() and torch.equal(*generators)
    for name in one:
        if algorithm is DSAC:
            torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-5)
        else:
            assert torch.equal(one[name], other[name])


@pytest.mark.parametrize("algorithm", LEARNERS)
def test_a_mask_is_neither_read_nor_normalised(algorithm) -> None:
    envs = copies()
    agent = agent_for(algorithm, envs, normalize_observations=True)
    assert agent.policy.memory.encoder.keys == ("observation",)
    assert agent.policy.normalizer.keys == ("observation",)
    assert agent.policy.memory.encoder.size == 3


@pytest.mark.parametrize("algorithm", ON_POLICY)
def test_the_first_ratios_of_a_rollout_are_one_behind_the_masks(algorithm) -> None:
    envs = copies("several")
    settings = {"num_epochs": 1, "batch_size": None, "phase_rollouts": 9}
    settings = settings if algorithm is PPG else {k: settings[k] for k in [*settings][:2]}
    agent = agent_for(algorithm, envs, summarizer=MEMORIES[1], **settings)
    collector, replay = experience(agent, envs)
    found = []
    while not found:
        for episode in collector.step():
            replay.add(episode)
        found = [agent.update(batch).metrics for batch in replay.batches(2)]
    assert found[0]["approx_kl"].item() == pytest.approx(0, abs=1e-6)
    assert 0 < found[0]["entropy"].item() < 0.8 * np.log([3, 2, 4]).sum()  # of all: all but this


def test_the_auxiliary_phase_holds_the_policy_of_the_legal_choices_alone() -> None:
    envs = copies("several")
    agent = agent_for(PPG, envs, phase_rollouts=99)
    assert isinstance(agent, PPG)
    for _ in played(agent, envs, steps=300):
        pass
    whole = agent.with_old_policy(agent.rollouts[-1])
    illegal = ~agent.rollouts[-1].observation[ACTION_MASK]
    assert whole.old_policy.exp()[illegal].max() == 0
    loss, metrics = agent.auxiliary_loss(whole)
    assert metrics["cloned"].item() == pytest.approx(0, abs=1e-6)
    bias = torch.autograd.grad(loss, agent.actor_head.trunk[-1].bias)[0]
    assert bias.abs().max() < 1e-6, "the policy has not moved since"


@pytest.mark.parametrize("algorithm", LEARNERS)
def test_a_mask_that_is_not_to_be_used_is_a_key_of_numbers_to_read(algorithm) -> None:
    class Lenient(Masked):
        def draw(self) -> None:
            super().draw()
            self.shows, self.mask = self.mask, np.ones(4, np.int8)

        def shown(self) -> Any:
            return super().shown() | {"action_mask": self.shows}

    envs = SequentialEnvs([EnvAdapter(Lenient(source="observation"), action_mask_key=None)])
    agent = agent_for(algorithm, envs)
    assert agent.policy.memory.encoder.keys == ("action_mask", "seen")
    illegal = 0
    for episode in played(agent, envs, steps=200):
        illegal += int((episode.action * (1 - episode.observation["action_mask"][:-1])).sum())
    assert illegal > 20


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("algorithm", [DSAC, PPO])
def test_episodes_go_on_after_a_restore_as_they_would_have(algorithm, together) -> None:
    def made() -> tuple[ActorCritic, Collector, Replay]:
        beside = {"mask_beside": "info['action_mask']"}
        envs = NativeVectorEnv(MaskedVector(3), **beside) if together else copies(count=3)
        agent = agent_for(algorithm, envs, summarizer=MEMORIES[1])
        return agent, *experience(agent, envs)

    def episodes(collector: Collector, steps: int) -> list[Episode]:
        return [each for step in range(steps) for each in collector.step(uniform=step < 10)]

    _, first, _ = made()
    episodes(first, 33)
    _, restored, _ = made()
    restored.load_state_dict(through_the_disk(first.state_dict()))
    assert restored.exact
    for one, other in zip(episodes(first, 40), episodes(restored, 40), strict=True):
        assert np.array_equal(one.action, other.action)
        masks = one.observation[ACTION_MASK], other.observation[ACTION_MASK]
        assert masks[0].dtype == bool and np.array_equal(*masks)


def test_a_replay_gives_each_step_its_mask_and_the_next_ones() -> None:
    envs = copies()
    agent = agent_for(DSAC, envs)
    replay = EpisodeReplay(agent.spec, batch_size=50, sequence_length=3)
    collector = Collector(agent, envs, seed=1)
    found: dict[bytes, np.ndarray] = {}
    for _ in range(40):
        for episode in collector.step():
            replay.add(episode)
            rows = zip(
                episode.observation["observation"], episode.observation[ACTION_MASK], strict=True
            )
            found |= {seen.tobytes(): mask for seen, mask in rows}
    batch: Batch = replay.sample()
    assert batch.action_mask is not None and batch.action_mask.dtype == torch.bool
    masks = batch.action_mask.numpy()
    for row, seen in enumerate(batch.observation["observation"].numpy()):
        for column, each in enumerate(seen):
            assert np.array_equal(masks[row, column], found[each.tobytes()])
    legal = batch.action_mask[:, :-1]
    assert not (batch.action > 0)[~legal & (batch.mask > 0).unsqueeze(-1)].any()


def test_the_critic_of_one_memory_reads_no_mask() -> None:
    envs = copies()
    agent = agent_for(DSAC, envs, shared=True, summarizer=MEMORIES[1])
    _, replay = experience(agent, envs)
    assert isinstance(agent, DSAC)
    for episode in played(agent, envs, steps=60):
        replay.add(episode)
    batch = next(iter(replay.batches(20)))
    every = torch.ones_like(batch.observation[ACTION_MASK])
    free = replace(batch, observation=batch.observation | {ACTION_MASK: every})
    values = [agent.critic_memory.unroll(b.observation, b.state)[0] for b in (batch, free)]
    assert torch.equal(*values)
