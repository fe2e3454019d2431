"""Stable-Baselines3 in the place of our algorithms: its numbers, our environments and files."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import VecNormalize
from test_probes import OneAction
from toys import Walk, through_the_disk

import offpcc
from offpcc.baselines import (
    SB3DDPG,
    SB3PPO,
    SB3SAC,
    SB3TD3,
    SB3TQC,
    Baseline,
    SB3RecurrentPPO,
)
from offpcc.baselines.sb3_experience import experience_of
from offpcc.config.bindings import compose
from offpcc.config.catalog import algorithm_file
from offpcc.data import AgentSpec, Field
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.vector import SequentialEnvs
from offpcc.errors import ConfigError, DivergedError, EnvironmentFault
from offpcc.training.collector import Collector
from offpcc.training.evaluator import play

SPEC = AgentSpec({"observation": Field((3,)), "previous_action": Field((2,))}, 2)
PICTURES = AgentSpec({"image": Field((40, 40), "uint8"), "more": Field((2,))}, 1)
OFF_POLICY: dict[str, Any] = {"hidden_sizes": (8,), "batch_size": 4, "buffer_size": 20}
ON_POLICY: dict[str, Any] = {
    "hidden_sizes": (8,),
    "rollout_steps": 8,
    "batch_size": 4,
    "num_epochs": 2,
}
RECURRENT: dict[str, Any] = ON_POLICY | {
    "batch_size": 2,
    "sequence_length": 2,
    "hidden_size": 4,
    "num_layers": 2,
}
ALL = [
    *((kind, OFF_POLICY) for kind in (SB3DDPG, SB3TD3, SB3SAC, SB3TQC)),
    (SB3PPO, ON_POLICY),
    (SB3RecurrentPPO, RECURRENT),
]


def walks(copies: int, **settings: Any) -> SequentialEnvs:
    return SequentialEnvs(
        [EnvAdapter(Walk(**settings), previous_action=True) for _ in range(copies)]
    )


def trained(kind: Any, settings: dict[str, Any], steps: int = 40, **more: Any) -> tuple[Any, ...]:
    """A baseline that has played and learned a little, with its replay and source."""
    baseline: Baseline = kind(SPEC, seed=1, **settings | more)
    replay, source = experience_of(baseline, walks(baseline.num_envs), 7)
    while source.steps < steps:
        before = source.steps
        source.step(uniform=before < 8)
        for batch in replay.batches(source.steps - before):
            baseline.update(batch)
    return baseline, replay, source


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("kind", "settings"), ALL)
def test_the_policy_acts_as_the_model_predicts(kind, settings, normalize) -> None:
    baseline, _, _ = trained(kind, settings, normalize_observations=normalize)
    policy, model = baseline.policy, baseline.model
    state, theirs = policy.initial_state(3), None
    for step in range(4):
        rows = 3 * torch.randn(3, 5, generator=torch.Generator().manual_seed(step))
        seen = {"observation": rows[:, :3], "previous_action": rows[:, 3:]}
        action, state = policy.act(seen, state)
        read = rows.numpy()
        if normalize:
            assert isinstance(baseline.envs, VecNormalize)
            read = baseline.envs.normalize_obs(read)
        expected, theirs = model.predict(
            read, theirs, np.zeros(3) if step else np.ones(3), deterministic=True
        )
        np.testing.assert_allclose(action.clamp(-1, 1).numpy(), expected, atol=1e-5)
    assert state.shape == (3, 16 if kind is SB3RecurrentPPO else 0)


@pytest.mark.parametrize("choices", [(3,), (2, 3)])
@pytest.mark.parametrize(("kind", "settings"), ALL[-2:])
def test_choices_come_out_one_hot(kind, settings, choices) -> None:
    spec = AgentSpec({"observation": Field((3,))}, sum(choices), choices)
    baseline = kind(spec, **settings)
    seen = torch.randn(6, 3)
    action, _ = baseline.policy.act({"observation": seen}, baseline.policy.initial_state(6))
    chosen, _ = baseline.model.predict(seen.numpy(), deterministic=True)
    parts = torch.split(action, choices, -1)
    found = torch.stack([part.argmax(-1) for part in parts], -1)
    assert found.tolist() == chosen.reshape(6, -1).tolist()
    assert action.sum(-1).tolist() == [len(choices)] * 6


@pytest.mark.parametrize(
    ("choices", "chosen", "expected"),
    [
        ((3,), [2, 0], [[0, 0, 1], [1, 0, 0]]),
        ((2, 3), [[1, 2], [0, 1]], [[0, 1, 0, 0, 1], [1, 0, 0, 1, 0]]),
    ],
)
def test_a_environments_choices_are_those_that_the_model_makes(choices, chosen, expected) -> None:
    spec = AgentSpec({"observation": Field((3,))}, sum(choices), choices)
    vec_env = SB3PPO(spec, num_envs=2, **ON_POLICY).vec_env
    vec_env.step_async(np.array(chosen))
    assert vec_env._actions.tolist() == expected


@pytest.mark.parametrize("kind", [SB3SAC, SB3PPO])
def test_pictures_and_numbers_are_read_side_by_side(kind) -> None:
    baseline = kind(PICTURES, **(ON_POLICY if kind is SB3PPO else OFF_POLICY))
    seen = {
        "image": torch.randint(0, 256, (2, 40, 40), dtype=torch.uint8),
        "more": torch.randn(2, 2),
    }
    action, _ = baseline.policy.act(seen, baseline.policy.initial_state(2))
    theirs = {"image": seen["image"].unsqueeze(1).numpy(), "more": seen["more"].numpy()}
    expected, _ = baseline.model.predict(theirs, deterministic=True)
    np.testing.assert_allclose(action.clamp(-1, 1).numpy(), expected, atol=1e-5)
    with pytest.raises(ValueError, match="a baseline that sees pictures has none"):
        kind(PICTURES, normalize_observations=True)


def test_keys_are_those_asked_for_and_never_privileged_ones() -> None:
    spec = AgentSpec({"observation": Field((3,)), "privileged": Field((9,))}, 2)
    assert SB3SAC(spec, **OFF_POLICY).vec_env.observation_space.shape == (3,)
    one = SB3SAC(SPEC, keys=["previous_action"], **OFF_POLICY)
    assert one.policy.memory.encoder.keys == ("previous_action",)
    with pytest.raises(ValueError, match=r"keys names \['privileged'\]"):
        SB3SAC(spec, keys=["privileged"], **OFF_POLICY)


# What is played


def test_an_action_mask_is_no_key_that_a_baseline_reads() -> None:
    seen = {"observation": Field((3,)), "action_mask": Field((4,), "bool")}
    baseline = SB3PPO(AgentSpec(seen, 4, (4,)), rollout_steps=8, batch_size=8)
    assert baseline.vec_env.observation_space.shape == (3,)
    given = {"observation": torch.zeros(2, 3), "action_mask": torch.ones(2, 4).bool()}
    assert baseline.policy.act(given, baseline.policy.initial_state(2))[0].shape == (2, 4)


def test_episodes_are_those_that_a_collector_would_play(monkeypatch) -> None:
    """The same seeds, so the same first observations; and what they came to."""
    baseline = SB3SAC(SPEC, num_envs=2, **OFF_POLICY)
    _, source = experience_of(baseline, walks(2), 7)
    scores = [episode for _ in range(30) for episode in source.step(uniform=True)]

    ours = walks(2)
    agent = offpcc.algorithms.SAC(SPEC, hidden_sizes=(8,))  # type: ignore[attr-defined]
    collector = Collector(agent, ours, seed=7)
    theirs = [episode for _ in range(30) for episode in collector.step(uniform=True)]
    seeds = [[env.env.seeds for env in played.envs] for played in (source.envs, ours)]
    assert seeds[0] == seeds[1]
    assert source.steps == collector.steps == 60
    lengths = [[e.steps_before + len(e) for e in played] for played in (scores, theirs)]
    assert lengths[0] == lengths[1]
    assert len(set(lengths[0])) > 2


def test_a_score_is_the_environments_own_whatever_the_scale_of_rewards() -> None:
    baseline = SB3SAC(SPEC, reward_scale=10.0, **OFF_POLICY)
    _, source = experience_of(baseline, walks(1, steps=3), 7)
    (episode,) = [e for _ in range(3) for e in source.step(uniform=True)]
    stored = baseline.model.replay_buffer.rewards[:3].sum()
    assert episode.reward_before + episode.reward.sum() == pytest.approx(stored / 10, rel=1e-5)
    assert (len(episode) + episode.steps_before, episode.ended) == (3, True)


def test_a_time_limit_is_no_end() -> None:
    baseline = SB3SAC(SPEC, **OFF_POLICY | {"buffer_size": 300})
    _, source = experience_of(baseline, walks(1), 3)
    ends = [(source.steps, e.terminated) for _ in range(200) for e in source.step(uniform=True)]
    buffer = baseline.model.replay_buffer
    for step, terminated in ends:
        assert buffer.dones[step - 1, 0]
        assert buffer.timeouts[step - 1, 0] == (not terminated)
    assert {terminated for _, terminated in ends} == {True, False}
    assert buffer.dones.sum() == len(ends)


@pytest.mark.parametrize("trouble", ["raise", "nan", "reset"])
def test_an_environments_fault_is_reported(trouble, monkeypatch) -> None:
    baseline = SB3SAC(SPEC, **OFF_POLICY)
    _, source = experience_of(baseline, walks(1), 3)
    if trouble == "nan":
        monkeypatch.setattr(Walk, "seen", lambda self: np.full(3, np.nan))
    else:
        broken = {"raise": "step", "reset": "reset"}[trouble]
        monkeypatch.setattr(Walk, broken, lambda *_, **__: 1 / 0)
    with pytest.raises(EnvironmentFault, match="nan" if trouble == "nan" else "division by zero"):
        source.step()


@pytest.mark.parametrize(
    ("ratio", "copies", "updates"), [(0.5, 1, 20), (1.0, 1, 40), (0.25, 4, 10)]
)
def test_so_many_updates_are_made_as_steps_are_worth(ratio, copies, updates) -> None:
    baseline, _, source = trained(SB3SAC, OFF_POLICY, replay_ratio=ratio, num_envs=copies)
    assert (source.steps, baseline.model._n_updates) == (40, updates)


def test_first_steps_are_uniform_and_the_others_the_policys() -> None:
    baseline = SB3TD3(SPEC, exploration_noise=0.0, **OFF_POLICY | {"buffer_size": 500})
    _, source = experience_of(baseline, walks(1), 3)
    for step in range(200):
        source.step(uniform=step < 100)
    buffer = baseline.model.replay_buffer
    seen = torch.from_numpy(buffer.observations[:200, 0])
    expected, _ = baseline.model.predict(seen.numpy(), deterministic=True)
    far = np.abs(buffer.actions[:200, 0] - expected).max(-1)
    assert far[100:].max() < 1e-6
    assert (far[:100] > 0.05).mean() > 0.9
    assert np.abs(buffer.actions[:100]).mean() == pytest.approx(0.5, abs=0.1)


def test_noise_that_wanders_is_that_of_ours() -> None:
    """n' = (1 - θ) n + σ N, so its spread is σ / √(1 - (1 - θ)²), and neighbours are alike."""
    noise = SB3TD3(
        SPEC, exploration_noise=0.2, noise_type="ou", ou_theta=0.5, **OFF_POLICY
    ).model.action_noise
    np.random.seed(0)
    drawn = np.stack([noise() for _ in range(20_000)])
    assert drawn.std() == pytest.approx(0.2 / (1 - 0.5**2) ** 0.5, rel=0.05)
    assert (drawn[1:] * drawn[:-1]).mean() / drawn.var() == pytest.approx(0.5, abs=0.05)


def test_a_rollout_is_learned_from_once() -> None:
    baseline, _, source = trained(SB3PPO, ON_POLICY, num_envs=2)
    assert source.steps == 48  # 3 of 2 × 8
    assert baseline.model._n_updates == 3 * 2  # epochs


# What is asked


def test_settings_that_mean_the_same_share_their_macro() -> None:
    lines = ["learning_rate = 0.5", "discount = 0.4", "hidden_sizes = (7, 6)", "num_envs = 2"]
    more = [*lines, "batch_size = 5", "temperature = 0.2", "tau = 0.3"]
    ours = compose([algorithm_file("sac")], more).values
    theirs = compose([algorithm_file("sb3_sac")], more).values
    for name in ("learning_rate", "discount", "tau", "hidden_sizes", "temperature", "n_step"):
        assert theirs[f"SB3SAC.{name}"] == ours[f"SAC.{name}"], name
    for name in ("batch_size", "buffer_size", "replay_ratio"):
        assert theirs[f"SB3SAC.{name}"] == ours[f"EpisodeReplay.{name}"], name
    ours = compose([algorithm_file("lstm_ppo")], lines).values
    theirs = compose([algorithm_file("sb3_recurrent_ppo")], lines).values
    for name in (
        "learning_rate", "discount", "hidden_sizes", "gae_lambda", "num_epochs", "batch_size",
        "max_grad_norm", "vf_coef",
    ):  # fmt: skip
        assert theirs[f"SB3RecurrentPPO.{name}"] == ours[f"PPO.{name}"], name
    for name, home in (
        ("sequence_length", "Rollout"),
        ("hidden_size", "LSTM"),
        ("num_layers", "LSTM"),
    ):
        assert theirs[f"SB3RecurrentPPO.{name}"] == ours[f"{home}.{name}"], name
    assert theirs["SB3RecurrentPPO.rollout_steps"] == ours["Rollout.rollout_steps"]


def test_settings_arrive_in_the_model() -> None:
    model = SB3SAC(
        SPEC, learning_rate=0.5, anneal_learning_rate=True, discount=0.4, tau=0.3,
        temperature=0.2, n_step=3, num_envs=2,
        **OFF_POLICY,
    ).model  # fmt: skip
    assert (model.gamma, model.tau, model.batch_size, model.n_steps) == (0.4, 0.3, 4, 3)
    assert model.replay_buffer.buffer_size == 10  # rows of 2
    assert model.log_ent_coef.exp().item() == pytest.approx(0.2)
    assert (model.lr_schedule(1.0), model.lr_schedule(0.5)) == (0.5, 0.25)
    model = SB3RecurrentPPO(
        SPEC, ent_coef=0.1, max_grad_norm=None, normalize_rewards=True, **RECURRENT
    )
    model = model.model
    assert (model.n_steps, model.batch_size, model.ent_coef, model.max_grad_norm) == (
        8,
        4,
        0.1,
        None,
    )
    assert model.get_vec_normalize_env().norm_reward
    assert not model.get_vec_normalize_env().norm_obs


def test_the_rate_falls_with_the_training() -> None:
    baseline, replay, source = trained(
        SB3SAC, OFF_POLICY, anneal_learning_rate=True, learning_rate=0.1
    )
    baseline.progress = 0.75
    source.step()
    baseline.update(next(iter(replay.batches(1))))
    assert baseline.model.actor.optimizer.param_groups[0]["lr"] == pytest.approx(0.025)


def test_what_its_logger_tells_comes_out_with_the_signs_of_ours() -> None:
    baseline, replay, source = trained(SB3PPO, ON_POLICY, steps=8)
    source.step()
    metrics = baseline.update(next(iter(replay.batches(8)))).metrics
    assert metrics.keys() == SB3PPO.columns.keys()
    # two Gaussians of deviation 1: ½ log 2πe each
    assert metrics["entropy"].item() == pytest.approx(2.84, abs=0.05)
    logged = baseline.model.logger.name_to_value[
        "train/policy_gradient_loss"
    ]  # falls where we climb
    assert metrics["surrogate"].item() == pytest.approx(-logged) != 0
    assert 0 <= metrics["clip_fraction"] <= 1
    baseline, replay, source = trained(SB3SAC, OFF_POLICY, temperature=0.2, learning_rate=0.0)
    source.step()
    metrics = baseline.update(next(iter(replay.batches(1)))).metrics
    assert metrics.keys() == SB3SAC.columns.keys()
    assert metrics["temperature"].item() == pytest.approx(0.2)


def test_updates_that_are_not_finite_are_counted() -> None:
    baseline, replay, source = trained(SB3SAC, OFF_POLICY)
    with torch.no_grad():
        next(baseline.model.critic.parameters()).fill_(torch.nan)
    source.step(uniform=True)
    baseline.update(next(iter(replay.batches(1))))
    assert int(baseline.consecutive_nonfinite) == 1
    with pytest.raises(DivergedError, match="SB3SAC has weights that are not finite"):
        source.step()
    with pytest.raises(DivergedError, match="SB3SAC has weights that are not finite"):
        baseline.update(next(iter(replay.batches(1))))


def test_a_missing_package_is_named(monkeypatch) -> None:
    for name in [n for n in sys.modules if n.startswith("offpcc.baselines.")]:
        if name.endswith(("sb3_policy", "sb3_vec_env", "experience")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    monkeypatch.setitem(sys.modules, "sb3_contrib.common.recurrent.policies", None)
    with pytest.raises(ConfigError, match="pip install stable-baselines3 sb3-contrib"):
        SB3SAC(SPEC)


# Saving


@pytest.mark.parametrize(("kind", "settings"), ALL)
def test_a_restored_baseline_learns_on_as_it_would_have(kind, settings) -> None:
    baseline, replay, source = trained(kind, settings, normalize_observations=True)
    chunks = [replay.chunk(replay.episodes.start)] if replay.episodes else []
    state = through_the_disk(
        [baseline.state_dict(), replay.state_dict(), source.state_dict(), chunks]
    )
    drawn = np.random.rand(), torch.rand(()).item()
    fresh: Baseline = kind(SPEC, seed=2, **settings, normalize_observations=True)
    replay_2, source_2 = experience_of(fresh, walks(1), 7)
    for chunk in state[3]:
        replay_2.extend(chunk)
    for part, kept in zip((fresh, replay_2, source_2), state, strict=False):
        part.load_state_dict(kept)
    assert (np.random.rand(), torch.rand(()).item()) == drawn
    assert source_2.steps == source.steps
    assert replay_2.episodes == replay.episodes
    assert not source_2.exact
    if kind not in (SB3PPO, SB3RecurrentPPO):  # a rollout is not kept
        metrics = []
        for one, other in ((baseline, replay), (fresh, replay_2)):
            fresh.load_state_dict(state[0])  # the generators are the process's
            torch.set_rng_state(state[0]["torch"])
            np.random.seed(5)
            metrics.append(one.update(next(iter(other.batches(1)))).metrics)
        assert metrics[0] == metrics[1]
    mine, theirs = (b.policy.state_dict() for b in (baseline, fresh))
    torch.testing.assert_close(mine, theirs)
    source_2.step()
    assert source_2.steps > source.steps


@pytest.mark.parametrize("written", [5, 20, 33])
def test_a_buffers_rows_come_back_in_their_order(written) -> None:
    baseline = SB3SAC(SPEC, **OFF_POLICY)
    replay, source = experience_of(baseline, walks(1), 3)
    for _ in range(written):
        source.step(uniform=True)
    assert replay.episodes == range(max(0, written - 20), written)
    middle = (replay.episodes.start + written) // 2
    chunks = [replay.chunk(replay.episodes.start), replay.chunk(middle)]
    again, _ = experience_of(SB3SAC(SPEC, **OFF_POLICY), walks(1), 3)
    again.extend({k: v[: middle - replay.episodes.start] for k, v in chunks[0].items()})
    again.extend(chunks[1])
    again.baseline.model.num_timesteps = written
    kept = again.chunk(again.episodes.start)
    assert again._buffer.size() == replay._buffer.size() == min(written, 20)
    for name, values in chunks[0].items():
        assert torch.equal(kept[name], values), name


def test_from_the_command_line_as_any_algorithm(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"results": tmp_path, "seed": 1}
    lines = [
        "hidden_sizes = (8,)",
        "batch_size = 8",
        "learning_starts = 50",
        "eval_interval = 100",
        "eval_episodes = 1",
    ]
    run = offpcc.run("cartpole-continuous-p-v0", "sb3_sac", steps=200, bind=lines, **settings)
    resumed = offpcc.run(
        "cartpole-continuous-p-v0", "sb3_sac", steps=300, bind=lines, resume=True, **settings
    )
    rows = list(csv.DictReader((resumed.path / "progress.csv").read_text().splitlines()))
    assert [row["env_steps"] for row in rows] == ["100", "200", "300"]
    # a recipe's update every other step
    assert [row["updates"] for row in rows] == ["25", "75", "125"]
    assert all(float(row["critic_loss"]) >= 0 for row in rows)
    description = json.loads((run.path / "run.json").read_text())
    assert description["resume_exact"] is False
    assert description["final"]["env_steps"] == 300
    assert {"stable-baselines3", "sb3-contrib"} <= description["versions"].keys()
    policy, env = offpcc.load(run.path), offpcc.env_of(run.path)
    action, state = policy.act(env.reset(seed=0)[0], policy.initial_state())
    assert action.shape == (1,)
    assert state.shape == (1, 0)


def test_a_baseline_learns() -> None:
    """SAC, the probe of one action: as ours."""
    spec = EnvAdapter(OneAction()).spec_of_agent
    baseline = SB3SAC(
        spec,
        hidden_sizes=(32,),
        learning_rate=3e-3,
        batch_size=32,
        temperature=0.1,
        buffer_size=1_000,
    )
    replay, source = experience_of(baseline, SequentialEnvs([EnvAdapter(OneAction())]), 0)
    for step in range(800):
        source.step(uniform=step < 100)
        for batch in replay.batches(int(step >= 100)):
            baseline.update(batch)
    (score,) = play(baseline.policy, SequentialEnvs([EnvAdapter(OneAction())]), [0])
    assert score.total > 0.95
