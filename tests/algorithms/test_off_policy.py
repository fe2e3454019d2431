"""What the shared update promises whatever the algorithm: what it skips, clips, delays, keeps."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from toys import SPEC, act, gradients, make_batch, weights, without_bf16

from offpcc.algorithms import DDPG, DSAC, REDQ, SAC, TD3, TQC, OffPolicy
from offpcc.data import AgentSpec, Field
from offpcc.networks import GRU, LSTM, Encoder
from offpcc.replay.batch import Batch

SMALL: dict[str, Any] = {"summarizer": partial(LSTM, hidden_size=6), "hidden_sizes": (10, 8)}
LENGTHS = (4, 1, 3, 5)
ALGORITHMS = [DDPG, TD3, SAC, TQC, REDQ]


def batch_for(agent: OffPolicy, **settings: Any) -> Batch:
    return make_batch(LENGTHS, state_size=agent.state_size, **settings)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(one[k], other[k]) for k in one)


def online(agent: OffPolicy) -> dict[str, Tensor]:
    """Every weight that an optimizer moves."""
    return {k: v for k, v in weights(agent).items() if not k.startswith("target_")}


def moments(agent: OffPolicy) -> dict[str, Tensor]:
    """Adam's memory of each weight, its step count too."""
    state = agent.optimizer.state_dict()["adam"]["state"]
    return {f"{i}.{k}": v.clone() for i, kept in state.items() for k, v in kept.items()}


# Updates that are not finite


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 3e38])
def test_an_update_whose_loss_is_not_finite_is_skipped(algorithm, value) -> None:
    agent = algorithm(SPEC, **SMALL)
    good = batch_for(agent)
    agent.update(good)
    before, adam, slow = online(agent), moments(agent), weights(agent)
    bad = replace(good, reward=good.reward.clone())
    bad.reward[1, 0] = value  # 3e38 is finite; its square is not
    metrics = agent.update(bad).metrics
    assert metrics["skipped"] == 1
    assert same(online(agent), before)
    assert same(moments(agent), adam)
    assert all(torch.isfinite(w).all() for w in weights(agent).values())
    assert set(slow) == set(weights(agent))


@pytest.mark.parametrize("part", ["policy", "critic", "critic_memory"])
def test_an_update_with_a_gradient_that_is_not_finite_is_skipped(part) -> None:
    agent = SAC(SPEC, **SMALL, max_grad_norm=1.0)
    agent.update(batch_for(agent))
    before, adam = online(agent), moments(agent)
    weight = next(getattr(agent, part).parameters())
    handle = weight.register_hook(lambda gradient: gradient / 0)
    metrics = agent.update(batch_for(agent)).metrics
    handle.remove()
    assert torch.isfinite(metrics["critic_loss"]) and torch.isfinite(metrics["actor_loss"])
    assert metrics["skipped"] == 1
    assert same(online(agent), before)
    assert same(moments(agent), adam)


def test_a_skipped_update_leaves_no_trace_in_the_next_one() -> None:
    plain, tried = (DDPG(SPEC, **SMALL, tau=0.0) for _ in range(2))
    good = batch_for(plain)
    bad = replace(good, reward=good.reward * float("nan"))
    for agent, batches in ((plain, (good, good)), (tried, (good, bad, bad, good))):
        for batch in batches:
            agent.update(batch)
    assert same(weights(plain), weights(tried))
    assert same(moments(plain), moments(tried))


def test_skipped_updates_are_counted_until_a_good_one() -> None:
    agent = TD3(SPEC, **SMALL)
    good = batch_for(agent)
    bad = replace(good, reward=good.reward / 0)
    counts = []
    for batch in (good, bad, bad, bad, good, bad):
        metrics = agent.update(batch).metrics
        assert metrics["skipped"] == (batch is bad)
        counts.append(int(agent.consecutive_nonfinite))
    assert counts == [0, 1, 2, 3, 0, 1]


def test_garbage_in_the_padding_is_no_reason_to_skip() -> None:
    agent = SAC(SPEC, **SMALL)
    assert agent.update(batch_for(agent, padding=3)).metrics["skipped"] == 0


# The deployed policy


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_deployed_policy_is_a_moving_average_that_changes_nothing_else(
    algorithm, shared
) -> None:
    settings = SMALL | {"shared": shared, "learning_rate": 0.01}
    plain, averaged = algorithm(SPEC, **settings), algorithm(SPEC, **settings, policy_ema_tau=0.25)
    wanted = {k: v.detach().clone() for k, v in plain.policy.named_parameters()}
    for _ in range(3):
        plain.update(batch_for(plain))
        averaged.update(batch_for(averaged))
        for name, newest in plain.policy.named_parameters():
            wanted[name] = 0.75 * wanted[name] + 0.25 * newest.detach()
    found = dict(averaged.deployed.named_parameters())
    assert found.keys() == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[name].detach(), wanted[name])
        assert not torch.equal(wanted[name], dict(plain.policy.named_parameters())[name])
    rest = {k: v for k, v in weights(averaged).items() if not k.startswith("average_")}
    assert same(rest, weights(plain))
    assert plain.deployed is plain.policy


def test_the_deployed_policy_scales_by_the_newest_moments() -> None:
    saved, restored = (
        SAC(SPEC, **SMALL, normalize_observations=True, policy_ema_tau=0.5) for _ in range(2)
    )
    saved.observe({"observation": np.arange(30, dtype=np.float32).reshape(10, 3)})
    restored.load_state_dict(saved.state_dict())
    ten = {"observation": torch.full((1, 3), 10.0)}
    for agent in (saved, restored):
        scaled = agent.deployed.normalizer(ten)["observation"]
        assert torch.equal(scaled, saved.policy.normalizer(ten)["observation"])
        assert not torch.equal(scaled, ten["observation"])


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_a_share_of_the_newest_weights_lies_between_0_and_1(share) -> None:
    with pytest.raises(ValueError, match=r"policy_ema_tau is .*; it must lie in"):
        DDPG(SPEC, policy_ema_tau=share)


# The critic's layers


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, DSAC])
@pytest.mark.parametrize("norm", [False, True])
def test_only_with_layer_norm_the_size_of_the_critic_s_units_is_of_no_account(
    algorithm, norm
) -> None:
    spec = replace(SPEC, choices=(2,)) if algorithm is DSAC else SPEC
    agent = algorithm(spec, **SMALL, layer_norm=norm)
    feature, action = torch.randn(3, 5, agent.critic_memory.size), torch.randn(3, 5, spec.action)
    before = agent.critic(feature, action)
    for part in (agent.critic.trunk.weights[0], agent.critic.trunk.biases[0]):
        part.data *= 3
    after = agent.critic(feature, action)
    assert torch.allclose(after, before, rtol=1e-3, atol=1e-4) is norm


# The reward's scale


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_reward_scale_is_worth_rewards_of_that_size(algorithm) -> None:
    scaled, plain = algorithm(SPEC, **SMALL, reward_scale=0.25), algorithm(SPEC, **SMALL)
    batch = batch_for(plain)
    scaled.update(batch)
    plain.update(replace(batch, reward=batch.reward / 4))
    assert same(weights(scaled), weights(plain))


# Decay


@pytest.mark.parametrize(
    ("decay", "progress", "share"), [(True, 0.25, 0.75), (True, 1.0, 0.0), (False, 1.0, 1.0)]
)
def test_rates_fall_with_the_trainings_progress_if_they_decay(decay, progress, share) -> None:
    fresh, plain = SAC(SPEC, **SMALL), SAC(SPEC, **SMALL)
    late = SAC(SPEC, **SMALL, anneal_learning_rate=decay)
    late.progress = progress
    batch = batch_for(plain)
    plain.update(batch)
    late.update(batch)
    start, full, found = online(fresh), online(plain), online(late)
    for name, before in start.items():
        torch.testing.assert_close(found[name] - before, share * (full[name] - before))


# Clipping


def norm(found: dict[str, Tensor], *parts: str) -> Tensor:
    return torch.stack([g.norm() for k, g in found.items() if k.startswith(parts)]).norm()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_gradient_norms_are_those_of_actor_and_critic_with_their_memories(algorithm) -> None:
    agent = algorithm(SPEC, **SMALL)
    metrics = agent.update(batch_for(agent)).metrics
    found = gradients(agent)
    torch.testing.assert_close(metrics["actor_gradient"], norm(found, "policy."))
    torch.testing.assert_close(metrics["critic_gradient"], norm(found, "critic"))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_clipping_shortens_each_gradient_and_keeps_its_direction(algorithm, shared) -> None:
    free, clipped = (algorithm(SPEC, **SMALL, shared=shared, max_grad_norm=c) for c in (None, 1e-3))
    before = free.update(batch_for(free)).metrics
    after = clipped.update(batch_for(clipped)).metrics
    long, short = gradients(free), gradients(clipped)
    critic = [k for k in long if k.startswith("critic")]
    actor = [k for k in long if k.startswith("policy.") and not (shared and "memory" in k)]
    for side, names in (("critic", critic), ("actor", actor)):
        length = norm({k: long[k] for k in names}, "")
        assert length > 1e-3
        torch.testing.assert_close(before[f"{side}_gradient"], length)
        torch.testing.assert_close(after[f"{side}_gradient"], length)
        for name in names:
            torch.testing.assert_close(
                short[name], long[name] * 1e-3 / length, rtol=1e-3, atol=1e-9
            )


def test_gradients_below_the_clip_are_left_alone() -> None:
    free, clipped = (SAC(SPEC, **SMALL, max_grad_norm=c) for c in (None, 1e6))
    for agent in (free, clipped):
        agent.update(batch_for(agent))
    assert same(gradients(free), gradients(clipped))


# Rates, delays, slow copies


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_memories_and_encoders_move_at_a_rate_of_their_own(algorithm) -> None:
    encoder = partial(Encoder, embedding_size=5)
    agent = algorithm(SPEC, **SMALL, encoder=encoder, learning_rate=1e-2, memory_learning_rate=1e-4)
    before = online(agent)
    agent.update(batch_for(agent))
    after = online(agent)
    for name, weight in before.items():
        # Adam's first step is the rate times the gradient's sign, wherever it is not nearly 0.
        rate = 1e-4 if "memory" in name else 1e-2
        step = (after[name] - weight).abs().max()
        torch.testing.assert_close(step, torch.tensor(rate), rtol=0.02, atol=0)


def test_with_a_delay_the_actor_and_all_slow_copies_wait() -> None:
    agent = SAC(SPEC, **SMALL, policy_delay=3)
    for update in range(7):
        before = weights(agent)
        metrics = agent.update(batch_for(agent)).metrics
        after = weights(agent)
        moved = {k.split(".")[0] for k in before if (before[k] != after[k]).any()}
        quick = {"critic", "critic_memory"}
        rest = {"policy", "target_critic", "target_critic_memory", "log_temperature"}
        assert moved == (quick | rest if update % 3 == 0 else quick)
        assert ("actor_loss" in metrics) == (update % 3 == 0)
        assert agent.optimizer.steps == update + 1


def test_a_target_takes_as_many_scaled_rewards_as_it_is_set_to() -> None:
    batch = make_batch([3])
    batch.reward[:] = torch.tensor([[1.0, 2.0, 3.0]])
    value = torch.full((1, 3, 1), 20.0)
    for n_step, expected in ((1, [20, 30, 40]), (2, [25, 40, 40]), (3, [30, 40, 40])):
        agent = SAC(SPEC, **SMALL, n_step=n_step, discount=0.5, reward_scale=10.0)
        found = agent.bootstrap(batch, value).flatten().tolist()
        assert found == pytest.approx(expected), n_step


@pytest.mark.parametrize("algorithm", [DDPG, SAC])
def test_a_share_of_actions_is_uniform_whatever_the_policy(algorithm) -> None:
    agent = algorithm(SPEC, **SMALL, random_action_prob=0.25, anneal_exploration=True)
    seen = {"observation": torch.zeros(20_000, 3)}
    state = torch.zeros(20_000, agent.state_size)
    five = torch.full((20_000, 2), 5.0)  # not a uniform one
    agent.explore = lambda feature, noise: (five, noise)
    for progress, share in ((0.0, 0.25), (0.6, 0.1), (1.0, 0.0)):
        agent.progress = progress
        action = act(agent, seen, state).action
        drawn = action[(action != 5).all(-1)]
        assert len(drawn) / 20_000 == pytest.approx(share, abs=0.01)
        if share:
            assert ((action == 5).all(-1) | (action.abs() <= 1).all(-1)).all()
            assert drawn.mean().item() == pytest.approx(0, abs=0.05)
            assert drawn.std().item() == pytest.approx(3**-0.5, abs=0.02)


def test_random_action_prob_is_a_share() -> None:
    with pytest.raises(ValueError, match=r"random_action_prob is 1.5; it must lie in \[0, 1\]"):
        SAC(SPEC, **SMALL, random_action_prob=1.5)


def test_no_step_is_no_target() -> None:
    with pytest.raises(ValueError, match="n_step is 0; it must be at least 1"):
        SAC(SPEC, **SMALL, n_step=0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_slow_copies_begin_as_their_models(algorithm) -> None:
    agent = algorithm(SPEC, **SMALL)
    for slow, quick in agent.target_pairs():
        assert slow is not quick
        for a, b in zip(slow.parameters(), quick.parameters(), strict=True):
            assert torch.equal(a, b) and a is not b and not a.requires_grad


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_agent_is_a_function_of_its_seed_and_leaves_the_global_generator_alone(
    algorithm,
) -> None:
    torch.manual_seed(7)
    kept = torch.get_rng_state()
    one, same_again, other = (algorithm(SPEC, **SMALL, seed=seed) for seed in (1, 1, 2))
    for agent in (one, same_again, other):
        agent.update(batch_for(agent))
    assert same(weights(one), weights(same_again))
    assert not same(weights(one), weights(other))
    assert torch.equal(torch.get_rng_state(), kept)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_metrics_are_finite_numbers_with_a_column_and_without_a_graph(algorithm) -> None:
    agent = algorithm(SPEC, **SMALL)
    for _ in range(2):
        for name, value in agent.update(batch_for(agent)).metrics.items():
            assert name in agent.columns
            assert value.shape == () and torch.isfinite(value) and not value.requires_grad


# Precision


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("memory", [LSTM, GRU])
def test_bf16_gives_nearly_the_gradients_of_fp32(algorithm, memory) -> None:
    if why := without_bf16(memory.network):
        pytest.skip(why)
    found = []
    for precision in ("fp32", "bf16"):
        agent = algorithm(
            SPEC,
            summarizer=partial(memory, hidden_size=16),
            hidden_sizes=(32, 32),
            precision=precision,
        )
        metrics = agent.update(batch_for(agent)).metrics
        assert metrics["skipped"] == 0
        assert all(w.dtype == torch.float32 for w in weights(agent).values())
        found.append(gradients(agent))
    exact, rough = found
    assert set(exact) == set(rough)
    for name, gradient in exact.items():
        assert (rough[name] - gradient).norm() <= 0.15 * gradient.norm() + 1e-6, name


# Two memories' states


def test_kept_critic_states_follow_the_critics_own_memory() -> None:
    agent = SAC(SPEC, **SMALL, critic_state=True)
    observation = batch_for(agent).observation["observation"][:2, :4]
    state = torch.zeros(2, agent.state_size)
    for t in range(4):
        seen = {"observation": observation[:, t]}
        state = act(agent, seen, state).state
        past = {"observation": observation[:, : t + 1]}
        halves = [
            memory.unroll(past, torch.zeros(2, memory.state_size))[1]
            for memory in (agent.policy.memory, agent.critic_memory)
        ]
        assert not torch.allclose(*halves)
        torch.testing.assert_close(state, torch.cat(halves, 1).detach())


@pytest.mark.parametrize("critic_state", [False, True])
def test_keeping_the_critics_state_changes_no_action(critic_state) -> None:
    agent = DDPG(SPEC, **SMALL, critic_state=critic_state)
    plain = DDPG(SPEC, **SMALL)
    seen = {"observation": torch.randn(3, 3, generator=torch.Generator().manual_seed(0))}
    action = act(agent, seen, torch.zeros(3, agent.state_size)).action
    assert torch.equal(action, act(plain, seen, torch.zeros(3, plain.state_size)).action)


@pytest.mark.parametrize("shared", [False, True])
def test_a_window_from_a_stored_state_teaches_what_the_whole_past_would(shared) -> None:
    whole, stored = (
        DDPG(SPEC, **SMALL, critic_state=True, shared=shared, seed=2) for _ in range(2)
    )
    long = make_batch((7, 7), seed=5)
    zeros = torch.zeros(2, whole.state_size)
    state = zeros
    for t in range(4):
        state = act(stored, {"observation": long.observation["observation"][:, t]}, state).state
    window = {
        "action": long.action[:, 4:],
        "reward": long.reward[:, 4:],
        "terminated": long.terminated[:, 4:],
        "mask": long.mask[:, 4:],
    }
    from_start = replace(long, **window, state=zeros, burn_in=torch.tensor([4, 4]))
    seen = {"observation": long.observation["observation"][:, 4:]}
    from_state = replace(long, **window, state=state, observation=seen)
    torch.testing.assert_close(whole.update(from_start).metrics, stored.update(from_state).metrics)
    torch.testing.assert_close(gradients(whole), gradients(stored), rtol=1e-4, atol=1e-6)


# Draws by priority


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_weight_scales_each_window_s_part_of_the_critic_s_loss_alone(algorithm) -> None:
    agent = algorithm(SPEC, **SMALL)
    batch = batch_for(agent, padding=2)
    rows = [batch.rows(torch.tensor([i])) for i in range(len(LENGTHS))]
    weight = torch.tensor([0.5, 1.0, 0.25, 0.0])
    noted = replace(batch, weight=weight.unsqueeze(1).expand_as(batch.mask))
    found = agent.loss(noted, update_actor=False)[0]
    each = zip(rows, weight, LENGTHS, strict=True)
    parts = [agent.loss(row, update_actor=False)[0] * w * n for row, w, n in each]
    if algorithm is DDPG:  # others draw their target's actions in another order
        torch.testing.assert_close(found, sum(parts) / sum(LENGTHS))
    ones = replace(batch, weight=torch.ones_like(batch.mask))
    agent.generator.manual_seed(1)
    plain = agent.loss(batch, update_actor=False)[0]
    agent.generator.manual_seed(1)
    torch.testing.assert_close(agent.loss(ones, update_actor=False)[0], plain)


def test_errors_are_given_only_to_a_replay_that_weighs() -> None:
    agent = DDPG(SPEC, **SMALL)
    batch = batch_for(agent)
    assert agent.update(batch).td_error is None
    ones = replace(batch, weight=torch.ones_like(batch.mask))
    _, metrics, td_error = agent.loss(ones, update_actor=False)
    loss = (0.5 * td_error.square() * batch.mask).sum() / batch.mask.sum()
    torch.testing.assert_close(loss, metrics["critic_loss"])  # one head: ½ δ²


# Pictures

VIEWS = {"first": (2, 7, 9), "last": (7, 9, 2), "plane": (7, 9)}


def picture_batch(shape: tuple[int, ...]) -> tuple[AgentSpec, Batch]:
    """Two windows of two steps, the second with a burn-in of one, and numbers beside them."""
    spec = AgentSpec({"observation": Field((3,)), "view": Field(shape, "uint8")}, 2)
    batch = make_batch((2, 2), burn_in=(0, 1))
    view = torch.randint(0, 256, (2, 1, *shape), dtype=torch.uint8).expand(2, 4, *shape)
    return spec, replace(batch, observation=batch.observation | {"view": view})


@pytest.mark.parametrize("layout", VIEWS)
def test_a_window_s_pictures_are_all_moved_alike_by_no_more_than_the_shift(layout) -> None:
    spec, batch = picture_batch(VIEWS[layout])
    agent = SAC(spec, hidden_sizes=(4,), random_shift=2, encoder=partial(Encoder, strides=(1,)))
    moves = set()
    for _ in range(60):
        moved = agent.augmented(batch).observation
        assert torch.equal(moved["observation"], batch.observation["observation"])
        for row in range(2):
            before, after = batch.observation["view"][row], moved["view"][row]
            assert after.dtype == torch.uint8 and all(torch.equal(after[0], x) for x in after)
            plain, found = before[0], after[0]
            if layout == "last":
                plain, found = plain.movedim(-1, 0), found.movedim(-1, 0)
            plain, found = plain.reshape(-1, 7, 9), found.reshape(-1, 7, 9)
            (move,) = [
                (down, right)
                for down in range(-3, 4)
                for right in range(-3, 4)
                if torch.equal(found[:, 3, 3:6], plain[:, 3 - down, 3 - right : 6 - right])
            ]
            moves.add(move)
    assert {down for down, _ in moves} == {right for _, right in moves} == {-2, -1, 0, 1, 2}
    assert len(moves) > 20  # each window its own, and down is not right


def test_without_a_shift_pictures_stay_where_they_are() -> None:
    spec, batch = picture_batch((1, 7, 9))
    agent = SAC(spec, hidden_sizes=(4,), encoder=partial(Encoder, strides=(1,)))
    assert agent.augmented(batch) is batch
    with pytest.raises(ValueError, match="random_shift is -1; it must be at least 0"):
        SAC(spec, hidden_sizes=(4,), random_shift=-1, encoder=partial(Encoder, strides=(1,)))


def test_updates_learn_from_pictures_that_were_moved(monkeypatch) -> None:
    spec, batch = picture_batch((1, 7, 9))
    agent = SAC(spec, hidden_sizes=(4,), random_shift=2, encoder=partial(Encoder, strides=(1,)))
    seen = []
    loss = agent.loss
    monkeypatch.setattr(agent, "loss", lambda batch, due: seen.append(batch) or loss(batch, due))
    agent.update(batch)
    assert not torch.equal(seen[0].observation["view"], batch.observation["view"])


# An asymmetric critic


def test_a_critic_may_read_what_its_actor_never_sees() -> None:
    spec = AgentSpec({"observation": Field((3,)), "secret": Field((1,))}, 2)
    agent = SAC(
        spec,
        encoder=partial(Encoder, keys=("observation",)),
        critic_encoder=Encoder,
        summarizer=partial(LSTM, hidden_size=6),
        hidden_sizes=(8,),
    )
    batch = make_batch((3, 3), state_size=agent.state_size)
    secrets = torch.zeros(2, 4, 1), torch.ones(2, 4, 1)
    values = []
    for secret in secrets:
        privileged = replace(batch, observation=batch.observation | {"secret": secret})
        values.append(agent.loss(privileged, update_actor=False)[1]["q"])
        agent.generator.manual_seed(0)
    assert values[0] != values[1]
    actions = [
        agent.policy.act(
            {"observation": torch.ones(1, 3), "secret": secret[:1, 0]}, agent.policy.initial_state()
        )[0]
        for secret in secrets
    ]
    assert torch.equal(*actions)


def test_privileged_observations_no_actor_reads_or_needs() -> None:
    spec = AgentSpec({"observation": Field((3,)), "privileged": Field((1,))}, 2)
    for shared in (False, True):
        agent = SAC(
            spec,
            summarizer=partial(LSTM, hidden_size=6),
            normalize_observations=True,
            shared=shared,
        )
        assert agent.policy.memory.encoder.keys == ("observation",)
        keys = ("observation",) if shared else ("observation", "privileged")
        assert agent.critic_memory.encoder.keys == keys
        agent.observe({"observation": np.ones((5, 3)), "privileged": np.ones((5, 1))})
        state = agent.policy.initial_state(2)
        full = {"observation": torch.ones(2, 3), "privileged": torch.zeros(2, 1)}
        alone = {"observation": torch.ones(2, 3)}
        assert torch.equal(agent.policy.act(full, state)[0], agent.policy.act(alone, state)[0])


def test_one_memory_between_actor_and_critic_reads_the_same_keys_for_both() -> None:
    spec = AgentSpec({"observation": Field((3,)), "secret": Field((1,))}, 2)
    one = partial(Encoder, keys=("observation",))
    SAC(spec, encoder=one, critic_encoder=one, shared=True, hidden_sizes=(4,))
    with pytest.raises(ValueError, match="shared, actor and critic read the same keys"):
        SAC(spec, encoder=one, critic_encoder=Encoder, shared=True, hidden_sizes=(4,))


# Settings


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"discount": 1.1}, "discount is 1.1"),
        ({"discount": -0.1}, "discount is -0.1"),
        ({"reward_scale": 0.0}, "reward_scale is 0.0"),
        ({"precision": "fp16"}, "precision is 'fp16'; it must be 'fp32' or 'bf16' or 'auto'"),
        ({"num_critics": 0}, "num_critics is 0"),
        ({"policy_delay": 0}, "policy_delay is 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(setting, message) -> None:
    with pytest.raises(ValueError, match=message):
        TD3(SPEC, **setting)
