"""Playing copies of an environment with an acting copy of the agent."""

import copy
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from toys import SPEC, Walk, act, constant_actor, make_batch, through_the_disk

from offpcc.algorithms import DDPG, DSAC, SAC, OffPolicy, Policy
from offpcc.data import Episode
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.make_env import make_env
from offpcc.errors import EnvironmentFault
from offpcc.networks import LSTM, Encoder, Identity
from offpcc.training.collector import Collector
from offpcc.training.experience_source import seed_of


def agent_with(algorithm: type[OffPolicy] = DDPG, **settings: Any) -> OffPolicy:
    memory = partial(LSTM, hidden_size=6)
    return algorithm(SPEC, **{"summarizer": memory, "hidden_sizes": (8,), "seed": 1} | settings)


def walks(copies: int, **settings: Any) -> list[EnvAdapter]:
    return [EnvAdapter(Walk(**settings)) for _ in range(copies)]


def played(collector: Collector, steps: int, **how: Any) -> dict[tuple[int, int], Episode]:
    """The episodes that ended, by (copy, number)."""
    episodes = {}
    for _ in range(steps):
        before = [trajectory.episode for trajectory in collector.trajectories]
        ended = iter(collector.step(**how))
        for i, number in enumerate(before):
            if collector.trajectories[i].episode > number:
                episodes[i, number] = next(ended)
        assert next(ended, None) is None
    return episodes


def same(one: Episode, other: Episode) -> bool:
    return one.terminated == other.terminated and all(
        np.array_equal(a, b)
        for a, b in [
            (one.observation["observation"], other.observation["observation"]),
            (one.action, other.action),
            (one.reward, other.reward),
            (one.state, other.state),
        ]
    )


def by_hand(agent: OffPolicy, seed: int) -> Episode:
    """The episode of a walk from this seed, played alone by an agent without noise."""
    env, state = EnvAdapter(Walk()), torch.zeros(1, agent.state_size)
    seen = [env.reset(seed=seed)[0]["observation"]]
    actions, rewards, states, ended = [], [], [], False
    while not ended:
        states.append(state[0].numpy())
        inputs = {"observation": torch.from_numpy(seen[-1][None])}
        action, state, *_ = act(agent, inputs, state)
        after, reward, terminated, truncated, _ = env.step(action[0].numpy())
        seen.append(after["observation"])
        actions.append(action[0].numpy())
        rewards.append(reward)
        ended = terminated or truncated
    observation = {"observation": np.stack(seen)}
    return Episode(
        observation, np.stack(actions), np.float32(rewards), terminated, np.stack(states)
    )


def assert_close(one: Episode, other: Episode) -> None:
    assert len(one) == len(other) and one.terminated == other.terminated
    close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    close(one.observation["observation"], other.observation["observation"])
    close(one.action, other.action)
    close(one.reward, other.reward)
    close(one.state, other.state)


# Episodes


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("critic_state", [False, True])
def test_copies_play_side_by_side_as_each_would_alone(copies, critic_state) -> None:
    agent = agent_with(exploration_noise=0.0, critic_state=critic_state)
    collector = Collector(agent, walks(copies), seed=4)
    episodes = played(collector, 40)
    assert {i for i, _ in episodes} == set(range(copies))
    assert len({len(episode) for episode in episodes.values()}) > 2
    assert len({episode.terminated for episode in episodes.values()}) == 2
    for (i, number), episode in episodes.items():
        assert_close(episode, by_hand(agent, collector.envs[i].unwrapped.seeds[number]))


def test_an_episodes_seed_depends_on_the_runs_its_copy_and_its_number_alone() -> None:
    def seeds(copies: int, seed: int, **how: Any) -> list[list[int]]:
        collector = Collector(agent_with(), walks(copies), seed=seed)
        played(collector, 60, **how)
        return [env.unwrapped.seeds[:8] for env in collector.envs]

    three = seeds(3, 5)
    assert len({seed for own in three for seed in own}) == 24
    assert seeds(3, 5, uniform=True) == three
    assert seeds(2, 5) == three[:2]
    assert not set(seeds(1, 6)[0]) & set(three[0])


@pytest.mark.parametrize("algorithm", [DDPG, SAC])
def test_a_collector_is_a_function_of_its_seed(algorithm) -> None:
    def episodes(seed: int) -> list[Episode]:
        collector = Collector(agent_with(algorithm), walks(2), seed=seed)
        return [*(played(collector, 5, uniform=True) | played(collector, 30)).values()]

    torch.manual_seed(0)
    first = episodes(3)
    torch.manual_seed(1)  # the global generator has no say
    again, other = episodes(3), episodes(4)
    assert len(first) == len(again) > 4 and all(map(same, first, again))
    assert not any(map(same, first, other))


def test_an_episode_has_its_own_last_observation_and_the_next_begins_anew() -> None:
    collector = Collector(agent_with(), walks(1), seed=0)
    episodes = list(played(collector, 30).values())
    for episode in episodes:
        length = len(episode)
        assert episode.observation["observation"].shape == (length + 1, 3)
        assert episode.action.shape == (length, 2)
        assert episode.state.shape == (length, 12)
        place = 0.1 * episode.action.sum(0, dtype=np.float64)
        np.testing.assert_allclose(episode.observation["observation"][-1, 1:], place, atol=1e-6)
        assert episode.observation["observation"][0, 1:].tolist() == [0, 0]
    assert collector.steps == 30 == sum(map(len, episodes)) + len(collector.trajectories[0].action)


def test_numbers_are_kept_as_float32_and_frames_as_uint8() -> None:
    class Camera(Walk):
        def __init__(self) -> None:
            super().__init__(steps=3)
            self.observation_space = gymnasium.spaces.Dict(
                {"frame": gymnasium.spaces.Box(0, 255, (2, 2), np.uint8)}
            )

        def seen(self) -> Any:
            return {"frame": np.full((2, 2), self.left, np.uint8)}

    env = EnvAdapter(Camera())
    encoder = partial(Encoder, strides=())  # the frames are too small for any
    agent = DDPG(env.spec_of_agent, hidden_sizes=(8,), encoder=encoder)
    episode = played(Collector(agent, [env]), 3)[0, 0]
    assert episode.observation["frame"].dtype == np.uint8
    assert episode.observation["frame"][:, 0, 0].tolist() == [3, 2, 1, 0]
    assert {episode.action.dtype, episode.reward.dtype} == {np.dtype(np.float32)}


@pytest.mark.parametrize("result", [None, True, False])
def test_success_is_what_the_last_step_says(result) -> None:
    class Judged(Walk):
        def step(self, action: Any) -> Any:
            *step, _ = super().step(action)
            return *step, {} if result is None else {"success": np.bool_(result or self.left > 0)}

    collector = Collector(agent_with(), [EnvAdapter(Judged(steps=3))])
    assert played(collector, 3)[0, 0].success is result


# Memory


@pytest.mark.parametrize("uniform", [False, True])
def test_the_memory_is_empty_before_an_episodes_first_step_and_has_seen_all_before_the_others(
    uniform,
) -> None:
    agent = agent_with(SAC, critic_state=True)
    episodes = played(Collector(agent, walks(3), seed=2), 40, uniform=uniform)
    ends = {}
    for (i, _), episode in episodes.items():
        ends[i] = ends.get(i, 0) + len(episode)
        assert (episode.state[0] == 0).all()
        for t in range(1, len(episode)):
            past = torch.from_numpy(episode.observation["observation"][None, :t])
            expected = agent.refresh({"observation": past})[0].numpy()
            np.testing.assert_allclose(episode.state[t], expected, rtol=1e-4, atol=1e-5)
    assert len(set(ends.values())) > 1  # the copies did not end together


def test_states_are_left_out_where_nobody_wants_them() -> None:
    one, other = (
        played(Collector(agent_with(), walks(2), keep_states=keep), 20) for keep in (True, False)
    )
    for key, episode in one.items():
        assert other[key].state.shape == (len(episode), 0) and episode.state.shape[1] > 0
        assert np.array_equal(other[key].action, episode.action)


def test_a_memory_of_width_0_is_a_state_of_width_0() -> None:
    agent = agent_with(summarizer=Identity)
    episodes = played(Collector(agent, walks(2)), 20)
    assert all(episode.state.shape == (len(episode), 0) for episode in episodes.values())


# Weights


def learn(agent: OffPolicy) -> None:
    agent.update(make_batch((4, 2), state_size=agent.state_size))


def plays(policy: Policy, episode: Episode, begin: int = 0) -> bool:
    """Whether the episode's actions from `begin` on are this policy's."""
    observation = {"observation": torch.from_numpy(episode.observation["observation"][None])}
    state = policy.initial_state()
    for t in range(len(episode)):
        action, state = policy.act({k: v[:, t] for k, v in observation.items()}, state)
        if t >= begin and not np.allclose(action[0].numpy(), episode.action[t], atol=1e-5):
            return False
    return True


def test_acting_weights_are_frozen_within_an_episode() -> None:
    learner = agent_with(exploration_noise=0.0, learning_rate=0.01, memory_learning_rate=0.01)
    collector = Collector(learner, walks(1), seed=1)
    acting = copy.deepcopy(learner.policy)
    checked = 0
    for _ in range(30):
        episodes = collector.step()
        if episodes:
            checked += 1
            assert plays(acting, episodes[0])
            assert not plays(learner.policy, episodes[0])
            acting = copy.deepcopy(learner.policy)  # as it was when the episode ended
        learn(learner)
    assert checked > 3


def test_a_sync_renews_the_memories_of_the_episodes_under_way() -> None:
    learner = agent_with(
        exploration_noise=0.0, learning_rate=0.01, memory_learning_rate=0.01, critic_state=True
    )
    collector = Collector(learner, [EnvAdapter(Walk(steps=3)), EnvAdapter(Walk(steps=5))])
    collector.step()
    collector.step()
    learn(learner)
    stale = collector.state.clone()
    collector.step()  # the first copy's episode ends
    past = collector.trajectories[1].stacked()["observation"][None, :-1]
    assert past.shape == (1, 3, 3)
    expected = learner.refresh({"observation": torch.from_numpy(past)})[0]
    torch.testing.assert_close(collector.state[1], expected)
    assert (collector.state[0] == 0).all()
    assert not torch.allclose(stale[1], expected)
    collector.step()
    (episode,) = collector.step()
    assert len(episode) == 5 and plays(learner.policy, episode, begin=3)
    assert not plays(learner.policy, episode)


@pytest.mark.parametrize("copies", [1, 2])
def test_synced_at_every_step_the_newest_weights_act_with_a_memory_of_their_own(copies) -> None:
    learner = agent_with(exploration_noise=0.0, learning_rate=0.01, memory_learning_rate=0.01)
    collector = Collector(learner, walks(copies, steps=6), weight_sync="step")
    for _ in range(5):
        learn(learner)
        pasts = [
            torch.from_numpy(trajectory.stacked()["observation"])
            for trajectory in collector.trajectories
        ]
        collector.step()
        past = torch.stack(pasts)
        state = torch.zeros(copies, learner.state_size)
        if past.shape[1] > 1:
            state = learner.refresh({"observation": past[:, :-1]})
        action = learner.policy.act({"observation": past[:, -1]}, state)[0]
        found = np.stack([trajectory.action[-1] for trajectory in collector.trajectories])
        np.testing.assert_allclose(found, action.numpy(), atol=1e-5)
        kept = np.stack([trajectory.state[-1] for trajectory in collector.trajectories])
        np.testing.assert_allclose(kept, state.numpy(), atol=1e-5)


def test_synced_at_every_step_a_single_copy_hands_over_every_step() -> None:
    one = Collector(agent_with(), walks(1, steps=6), weight_sync="step")
    for step in range(14):
        (segment,) = one.step()
        assert (len(segment), segment.steps_before) == (1, step % 6)
        assert segment.ended == (step % 6 == 5)
    two = Collector(agent_with(), walks(2, steps=6), weight_sync="step")
    assert [len(two.step()) for _ in range(6)] == [0, 0, 0, 0, 0, 2]


def test_an_unknown_sync_is_refused() -> None:
    with pytest.raises(ValueError, match="sync is 'never'; it must be 'episode' or 'step'"):
        Collector(agent_with(), walks(1), weight_sync="never")


# Warm-up


def test_warm_up_actions_are_uniform_and_every_copys_own() -> None:
    collector = Collector(agent_with(), walks(4), seed=3)
    episodes = played(collector, 800, uniform=True)
    actions = np.concatenate([episode.action for episode in episodes.values()])
    assert len(np.unique(actions)) > 0.99 * actions.size
    for column in actions.T:
        quantiles = np.quantile(column, [0, 0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose(quantiles, [-1, -0.5, 0, 0.5, 1], atol=0.05)
    assert abs(np.corrcoef(actions.T)[0, 1]) < 0.05


def test_warm_up_choices_are_one_hot_and_all_alike_often() -> None:
    env = make_env("CartPole-v1")
    agent = DSAC(env.spec_of_agent, hidden_sizes=(4,))
    episodes = played(Collector(agent, [env], seed=3), 800, uniform=True)
    actions = np.concatenate([episode.action for episode in episodes.values()])
    assert set(map(tuple, actions.tolist())) == {(0.0, 1.0), (1.0, 0.0)}
    assert actions.mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.06)


def test_a_held_action_is_kept_for_so_many_steps_of_its_episode() -> None:
    collector = Collector(agent_with(), walks(2, steps=7), seed=3, random_action_repeat=3)
    for episode in played(collector, 40, uniform=True).values():
        action = episode.action[:, 0]
        assert [len(set(action[a:b])) for a, b in [(0, 3), (3, 6), (6, 7)]] == [1, 1, 1]
        assert len(set(action)) == 3


@pytest.mark.parametrize("name", ["random_action_repeat", "rollout_steps"])
def test_no_step_is_neither_held_nor_a_segment(name) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0; it must be at least 1"):
        Collector(agent_with(), walks(1), **{name: 0})


# Segments


def test_a_segment_and_a_sync_at_every_step_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="rollout_steps needs weight_sync 'episode'"):
        Collector(agent_with(), walks(1), weight_sync="step", rollout_steps=5)


def segments(collector: Collector, steps: int) -> list[Episode]:
    return [segment for _ in range(steps) for segment in collector.step()]


@pytest.mark.parametrize("copies", [1, 3])
def test_segments_are_the_episodes_cut_after_every_so_many_steps(copies) -> None:
    whole = played(Collector(agent_with(), walks(copies), seed=4), 40)
    cut = segments(Collector(agent_with(), walks(copies), seed=4, rollout_steps=5), 40)
    assert sum(map(len, cut)) == 40 * copies  # nothing is held back at a cut
    for (copy_, number), episode in whole.items():
        mine, ended = [s for s in cut if s.env_index == copy_], -1
        for _ in range(number + 1):  # this copy's episode of that number
            begin, ended = ended + 1, next(i for i in range(ended + 1, len(mine)) if mine[i].ended)
        parts = mine[begin : ended + 1]
        assert [p.steps_before for p in parts] == [0, *np.cumsum([len(p) for p in parts])[:-1]]
        # A cut remembers anew: the same but for rounding, from there on.
        for name in ("reward", "action", "state"):
            cuts = np.concatenate([getattr(p, name) for p in parts])
            np.testing.assert_allclose(cuts, getattr(episode, name), atol=1e-5)
        seen = [p.observation["observation"] for p in parts]
        assert all(np.array_equal(a[-1], b[0]) for a, b in pairwise(seen))
        last = episode.observation["observation"][-1]
        np.testing.assert_allclose(seen[-1][-1], last, atol=1e-5)
        total = parts[-1].reward_before + parts[-1].reward.sum()
        assert total == pytest.approx(episode.reward.sum(), rel=1e-5)
        assert parts[-1].terminated == episode.terminated
        assert not any(part.terminated for part in parts[:-1])


def test_weights_are_taken_over_after_a_cut_and_at_no_other_time() -> None:
    learner = agent_with(exploration_noise=0.0)
    collector = Collector(learner, walks(2), seed=4, rollout_steps=6)
    constant_actor(learner.policy.actor, 0.0, 0.0)
    collector.sync()
    for step in range(12):
        constant_actor(learner.policy.actor, step / 10, 0.0)
        collector.step()
        acted = [
            trajectory.action[-1][0] for trajectory in collector.trajectories if trajectory.action
        ]
        # Step 6 is the first behind the cut, and takes what the learner is then.
        assert acted == pytest.approx([np.tanh(0.6 if step >= 6 else 0.0)] * len(acted))


def test_a_log_probability_comes_with_the_steps_that_it_is_of() -> None:
    class Sure(DDPG):
        def sample_action(self, feature: Any, noise: Any, action_mask: Any) -> Any:
            action, noise, _ = super().sample_action(feature, noise, action_mask)
            return action, noise, 2 * action[:, 0]

    collector = Collector(agent_with(Sure), walks(3), seed=5, rollout_steps=4)
    for segment in segments(collector, 20):
        assert np.array_equal(segment.log_prob, 2 * segment.action[:, 0])


def test_a_collector_restored_within_a_segment_and_at_a_cut_plays_on_bit_for_bit() -> None:
    for steps in (10, 12):
        learner, other = agent_with(SAC), agent_with(SAC, seed=2)
        one = Collector(learner, walks(3), seed=7, rollout_steps=6)
        segments(one, steps)
        learn(learner)
        two = Collector(other, walks(3), seed=7, rollout_steps=6)
        other.load_state_dict(through_the_disk(learner.state_dict()))
        two.load_state_dict(through_the_disk(one.state_dict()))
        expected, found = segments(one, 14), segments(two, 14)
        assert len(expected) == len(found) and all(map(same, expected, found))
        result = [(s.env_index, s.steps_before, s.reward_before, s.ended) for s in expected]
        assert result == [(s.env_index, s.steps_before, s.reward_before, s.ended) for s in found]


# Long episodes


@pytest.mark.parametrize("copies", [1, 2])
def test_what_has_grown_long_is_handed_over_and_brings_newer_weights(copies) -> None:
    learner = agent_with(exploration_noise=0.0)
    constant_actor(learner.policy.actor, 0.0, 0.0)
    collector = Collector(learner, walks(copies, steps=12), seed=4, long_episode=5)
    for step in range(12):
        constant_actor(learner.policy.actor, step / 20, 0.0)
        pieces = collector.step()
        acted = 0.0 if step < 5 else np.tanh(0.2) if step < 10 else np.tanh(0.45)
        if step < 11:
            assert [t.action[-1][0] for t in collector.trajectories] == pytest.approx(
                copies * [acted]
            )
        assert [len(piece) for piece in pieces] == copies * {4: [5], 9: [5], 11: [2]}.get(step, [])
        assert all(piece.ended == (step == 11) for piece in pieces)
        assert all(piece.steps_before == step + 1 - len(piece) for piece in pieces)


def test_shorter_episodes_stay_as_they_are() -> None:
    whole = Collector(agent_with(), walks(2), seed=4, long_episode=8)
    other = Collector(agent_with(), walks(2), seed=4, long_episode=10**6)
    one, two = played(whole, 40), played(other, 40)
    assert len(one) > 8 and all(same(one[key], two[key]) for key in two)


@pytest.mark.parametrize(("limit", "copies", "expected"), [(9, 1, 2_000), (None, 1, 200),
                                                          (None, 2, 2_000)])  # fmt: skip
def test_how_long_is_long_depends_on_the_time_limit(limit, copies, expected) -> None:
    envs = [EnvAdapter(Walk(), limit=limit) for _ in range(copies)]
    assert Collector(agent_with(), envs).long_episode == expected


@pytest.mark.parametrize(
    "how", [{"long_episode": 5}, {"rollout_steps": 5}, {"weight_sync": "step"}]
)
def test_of_a_long_episode_only_the_actions_are_kept_and_its_memory_goes_on(
    how, monkeypatch
) -> None:
    monkeypatch.setattr("offpcc.training.collector.LONG_EPISODE", 10)
    learner = agent_with(SAC, critic_state=True)

    def made() -> Collector:
        return Collector(learner, walks(1, steps=10**6), seed=4, **how)

    collector, plain = made(), Collector(learner, walks(1, steps=10**6), seed=4)
    handed = segments(collector, 47)
    segments(plain, 47)
    trajectory = collector.trajectories[0]
    assert (
        trajectory.first_kept >= 40 and len(trajectory.observation) <= 8 and len(trajectory) == 47
    )
    # The weights never changed, so forgetting changed nothing but rounding.
    torch.testing.assert_close(collector.state, plain.state, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(trajectory.actions(), plain.trajectories[0].actions(), atol=1e-5)
    assert sum(map(len, handed)) == trajectory.emitted >= 45
    restored = made()
    restored.load_state_dict(through_the_disk(collector.state_dict()))
    assert restored.exact and torch.equal(restored.state, collector.state)
    one, two = segments(collector, 20), segments(restored, 20)
    assert len(one) == len(two) > 2 and all(map(same, one, two))


@pytest.mark.parametrize("part", ["past", "first_kept", "memory"])
def test_each_part_of_a_long_episode_is_needed(part, monkeypatch) -> None:
    monkeypatch.setattr("offpcc.training.collector.LONG_EPISODE", 10)
    learner = agent_with(SAC)
    collector, restored = (
        Collector(learner, walks(1, steps=10**6), seed=4, long_episode=5) for _ in range(2)
    )
    segments(collector, 23)
    state = through_the_disk(collector.state_dict())
    if part == "past":
        state["past"] = {}
    else:
        state["trajectories"][0][part] = {"first_kept": 0, "memory": None}[part]
    restored.load_state_dict(state)
    learn(learner)
    one, two = segments(collector, 20), segments(restored, 20)
    assert not (restored.exact and all(map(same, one, two)))


# Faults


class Faulty(gymnasium.Wrapper):
    """A walk of 5 steps in which something goes wrong at step 3 of the second episode."""

    def __init__(self, fault: Callable[[Any], Any], at_reset: bool = False) -> None:
        super().__init__(Walk(steps=5))
        self.fault, self.at_reset, self.episode = fault, at_reset, 0

    def reset(self, **how: Any) -> Any:
        self.episode += 1
        seen, info = self.env.reset(**how)
        if self.at_reset and self.episode == 2:
            seen, *_ = self.fault([seen, 0.0])
        return seen, info

    def step(self, action: Any) -> Any:
        step = list(self.env.step(action))
        if not self.at_reset and (self.episode, self.env.unwrapped.left) == (2, 2):
            step = self.fault(step)
        return tuple(step)


def lost(value: float, place: int) -> Callable[[Any], Any]:
    """Puts a value in place of the observation's second number (0) or the reward (1)."""

    def fault(step: list[Any]) -> list[Any]:
        if place:
            step[1] = value
        else:
            step[0] = np.array([1.5, value, 2.5])
        return step

    return fault


def blow_up(step: list[Any]) -> list[Any]:
    raise RuntimeError("the joint broke")


def failure(
    fault: Callable[[Any], Any], at_reset: bool = False
) -> tuple[Collector, EnvironmentFault]:
    """What the second of two copies brings about, and the collector after it."""
    envs = [EnvAdapter(Walk(steps=5)), EnvAdapter(Faulty(fault, at_reset))]
    collector = Collector(agent_with(exploration_noise=0.0), envs, seed=9)
    episodes = []
    with pytest.raises(EnvironmentFault) as caught:
        for _ in range(20):
            episodes += collector.step()
    assert all(np.isfinite(episode.reward).all() for episode in episodes)
    return collector, caught.value


def where(collector: Collector, step: int, last: str) -> str:
    return f"copy 1, episode 1 (seed {seed_of(9, 1, 1)}), step {step}, last actions {last}"


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        (lost(float("nan"), 1), "reward is nan"),
        (lost(float("-inf"), 1), "reward is -inf"),
        (lost(float("nan"), 0), "observation is [1.5 nan 2.5]"),
        (lost(float("inf"), 0), "observation is [1.5 inf 2.5]"),
        (blow_up, "the environment raised RuntimeError('the joint broke') in step"),
    ],
)
def test_a_step_that_fails_ends_it_all_and_is_told_with_where_and_when(fault, result) -> None:
    collector, error = failure(fault)
    taken = collector.envs[1].guard.actions
    last = ", ".join(str(action.astype(float).round(4).tolist()) for (action,) in taken)
    assert str(error) == f"{result}; {where(collector, 3, last)}"
    assert len(taken) == 3
    before = [action.tolist() for action in collector.trajectories[1].action]
    assert before == [action.tolist() for (action,) in [*taken][:2]], "the step was not made"


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        (lost(float("nan"), 0), "observation is [1.5 nan 2.5]"),
        (blow_up, "the environment raised RuntimeError('the joint broke') in reset"),
    ],
)
def test_so_is_a_reset_that_fails(fault, result) -> None:
    collector, error = failure(fault, at_reset=True)
    assert str(error) == f"{result}; {where(collector, 0, 'none')}"


def test_what_a_environment_raised_is_not_lost() -> None:
    assert isinstance(failure(blow_up)[1].__cause__, RuntimeError)


@pytest.mark.parametrize("at_reset", [False, True])
@pytest.mark.parametrize("uniform", [False, True])
def test_after_a_fault_a_collector_is_as_it_was_before_the_step(at_reset, uniform) -> None:
    def made(fault: Callable[[Any], Any]) -> Collector:
        envs = [EnvAdapter(Walk(steps=5)), EnvAdapter(Faulty(fault, at_reset))]
        return Collector(agent_with(SAC), envs, seed=9)

    sound, broken = made(lambda step: step), made(blow_up)
    played(sound, 5 if at_reset else 7, uniform=uniform)
    with pytest.raises(EnvironmentFault):
        for _ in range(20):
            broken.step(uniform=uniform)
    assert broken.steps == sound.steps
    restored = made(lambda step: step)
    restored.load_state_dict(through_the_disk(broken.state_dict()))
    assert restored.exact
    one, two = continued(sound), continued(restored)
    assert len(one) == len(two) > 6 and all(map(same, one, two))


# Saving


def continued(collector: Collector) -> list[Episode]:
    episodes = played(collector, 12, uniform=True) | played(collector, 25)
    return [episodes[key] for key in sorted(episodes)]


@pytest.mark.parametrize("sync", ["episode", "step"])
@pytest.mark.parametrize("algorithm", [DDPG, SAC])
def test_a_restored_collector_plays_on_bit_for_bit(algorithm, sync) -> None:
    learner = agent_with(algorithm, critic_state=True)
    collector = Collector(learner, walks(3), seed=7, weight_sync=sync, random_action_repeat=2)
    played(collector, 18)
    learn(learner)  # so the acting weights are not the learner's
    if sync == "step":
        collector.step()
    state = through_the_disk(collector.state_dict())
    assert any(trajectory["action"] for trajectory in state["trajectories"])
    other = agent_with(algorithm, critic_state=True, seed=2)
    restored = Collector(other, walks(3), seed=7, weight_sync=sync, random_action_repeat=2)
    other.load_state_dict(through_the_disk(learner.state_dict()))
    restored.load_state_dict(state)
    assert restored.exact and restored.steps == collector.steps
    assert torch.equal(restored.state, collector.state)
    one, two = continued(collector), continued(restored)
    assert len(one) == len(two) > 6 and all(map(same, one, two))


@pytest.mark.parametrize("part", ["acting", "generator", "random", "state", "trajectories"])
def test_a_restored_collector_without_one_of_its_parts_plays_another_way(part) -> None:
    learner = agent_with(SAC)
    collector, fresh = (Collector(learner, walks(3), seed=7) for _ in range(2))
    played(collector, 4, uniform=True)
    played(collector, 14)
    learn(learner)
    if part == "acting":
        fresh.sync()
    kept = through_the_disk(fresh.state_dict())
    state = through_the_disk(collector.state_dict())
    fresh.load_state_dict(state | {part: kept[part]})
    one, two = continued(collector), continued(fresh)
    assert not (len(one) == len(two) and all(map(same, one, two)))


def test_an_episode_that_does_not_come_out_as_it_was_is_dropped_and_said() -> None:
    def made() -> Collector:
        envs = [EnvAdapter(Walk(steps=9)), EnvAdapter(Walk(steps=9, honest=False))]
        return Collector(agent_with(exploration_noise=0.0), envs, seed=1)

    collector, restored = made(), made()
    played(collector, 13)  # four steps into the second episode
    restored.load_state_dict(through_the_disk(collector.state_dict()))
    assert not restored.exact
    honest, dropped = restored.trajectories
    assert (honest.episode, len(honest.action)) == (1, 4)
    assert (dropped.episode, len(dropped), len(dropped.observation)) == (2, 0, 1)
    assert (restored.state[1] == 0).all() and (restored.state[0] != 0).any()
    episodes = played(restored, 9)
    assert {key: len(episode) for key, episode in episodes.items()} == {(0, 1): 9, (1, 2): 9}
    assert same(episodes[0, 1], played(collector, 5)[0, 1])
    again = made()
    again.load_state_dict(through_the_disk(restored.state_dict()))
    assert not again.exact  # it is not forgotten


def test_an_episode_that_ends_too_early_when_played_again_is_dropped() -> None:
    collector = Collector(agent_with(), [EnvAdapter(Walk(steps=6))])
    played(collector, 4)
    shorter = Collector(agent_with(), [EnvAdapter(Walk(steps=3))])
    shorter.load_state_dict(through_the_disk(collector.state_dict()))
    assert (
        not shorter.exact
        and shorter.trajectories[0].episode == 1
        and not shorter.trajectories[0].action
    )
