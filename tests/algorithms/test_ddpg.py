import pytest
import torch
from toys import SPEC, Walk, act, constant_actor, constant_critic, make_batch

from offpcc.algorithms import DDPG, TD3
from offpcc.envs.adapter import EnvAdapter
from offpcc.networks import LSTM
from offpcc.training.collector import Collector


def explored(agent: DDPG, count: int = 20_000) -> torch.Tensor:
    seen = {"observation": torch.zeros(count, 3)}
    return act(agent, seen, torch.zeros(count, 0)).action


@pytest.mark.parametrize("algorithm", [DDPG, TD3])
@pytest.mark.parametrize("noise", [0.1, 0.02])
def test_exploration_is_normal_about_the_greedy_action_with_deviation_sigma(
    algorithm, noise
) -> None:
    agent = algorithm(SPEC, hidden_sizes=(4,), exploration_noise=noise)
    constant_actor(agent.policy.actor, 0.5, -0.5)
    actions = explored(agent)
    centre = torch.tensor([0.5, -0.5]).tanh()
    torch.testing.assert_close(actions.mean(0), centre, rtol=0, atol=noise / 20)
    torch.testing.assert_close(actions.std(0), torch.full((2,), noise), rtol=0.02, atol=0)
    inside = ((actions - centre).abs() < noise).float().mean()
    assert inside.item() == pytest.approx(0.6827, abs=0.01)  # a normal's share within 1 σ


def test_exploration_adds_what_the_agents_own_generator_draws() -> None:
    agent = DDPG(SPEC, hidden_sizes=(4,), exploration_noise=0.1, seed=3)
    constant_actor(agent.policy.actor, 0.5, -0.5)
    drawn = torch.randn((4, 2), generator=torch.Generator().manual_seed(3))
    expected = torch.tensor([0.5, -0.5]).tanh() + 0.1 * drawn
    torch.testing.assert_close(explored(agent, 4), expected)


def test_explored_actions_never_leave_their_bounds() -> None:
    agent = DDPG(SPEC, hidden_sizes=(4,), exploration_noise=5.0)
    actions = explored(agent)
    assert (actions.min(), actions.max()) == (-1, 1)


def test_greedy_actions_have_no_noise() -> None:
    agent = DDPG(SPEC, hidden_sizes=(4,), exploration_noise=5.0)
    constant_actor(agent.policy.actor, 0.5, -0.5)
    action = agent.policy.act({"observation": torch.zeros(1, 3)}, torch.zeros(1, 0))[0]
    torch.testing.assert_close(action[0], torch.tensor([0.5, -0.5]).tanh())


def test_ou_noise_returns_to_0_and_leaves_the_memorys_state_alone() -> None:
    agent = DDPG(
        SPEC,
        hidden_sizes=(4,),
        exploration_noise=0.1,
        noise_type="ou",
        ou_theta=0.25,
        seed=3,
        summarizer=LSTM,
        critic_state=True,
    )
    constant_actor(agent.policy.actor, 0.5, -0.5)
    greedy, drawn = torch.tensor([0.5, -0.5]).tanh(), torch.Generator().manual_seed(3)
    seen, state = {"observation": torch.ones(4, 3)}, torch.zeros(4, agent.state_size)
    assert (agent.state_size, agent.noise_size) == (2 * 256, 2)
    before = noise = torch.zeros(4, 2)
    for step in range(1, 4):
        noise = 0.75 * noise + 0.1 * torch.randn((4, 2), generator=drawn)
        action, state, before, _ = agent.act(seen, state, before)
        torch.testing.assert_close(action, greedy + noise)
        torch.testing.assert_close(before, noise)
        past = {"observation": torch.ones(4, step, 3)}
        torch.testing.assert_close(state, agent.refresh(past))


def test_ou_noise_goes_on_when_weights_are_taken_over_and_begins_at_0_in_an_episode() -> None:
    learner = DDPG(SPEC, hidden_sizes=(4,), noise_type="ou", ou_theta=0.1, summarizer=LSTM)
    collector = Collector(learner, [EnvAdapter(Walk(steps=4)) for _ in range(2)])
    collector.step()
    before, noise = collector.state.clone(), collector.noise.clone()
    collector.sync()
    torch.testing.assert_close(collector.state, before)
    assert torch.equal(collector.noise, noise) and noise.all()
    for _ in range(3):
        collector.step()
    assert not collector.noise.any()


def test_noise_fades_with_the_training() -> None:
    agent = DDPG(SPEC, hidden_sizes=(4,), exploration_noise=0.2, anneal_exploration=True)
    constant_actor(agent.policy.actor, 0.0, 0.0)
    for progress, spread in ((0.0, 0.2), (0.75, 0.05), (1.0, 0.0)):
        agent.progress = progress
        assert explored(agent).std().item() == pytest.approx(spread, rel=0.02)


def test_the_acting_copy_learns_with_its_weights_how_far_the_training_is() -> None:
    learner = DDPG(SPEC, hidden_sizes=(4,), anneal_exploration=True)
    acting = learner.acting_copy(0)
    learner.progress = 0.5
    assert acting.exploration_left() == 1
    acting.sync(learner)
    assert acting.exploration_left() == 0.5


def test_ou_theta_lies_between_0_and_1() -> None:
    for theta in (0.0, 1.5):
        with pytest.raises(ValueError, match=rf"ou_theta is {theta}; it must lie in \(0, 1\]"):
            DDPG(SPEC, ou_theta=theta)


def test_the_target_is_the_reward_and_what_the_slow_critic_promises() -> None:
    agent = DDPG(SPEC, hidden_sizes=(4,), discount=0.9)
    constant_critic(agent.target_critic, 2.0)
    batch = make_batch([1, 1])  # the second row ends truly
    batch.reward[:] = 1.0
    h = batch.observation["observation"][:, 1:]
    # 1 + 0.9 · 2, and 1 alone
    assert agent.critic_target(batch, h, h).flatten().tolist() == pytest.approx([2.8, 1.0])


def test_the_next_action_is_the_slow_actors() -> None:
    agent = DDPG(SPEC, hidden_sizes=(4,))
    constant_actor(agent.target_actor, 1.0, -2.0)
    h = torch.zeros(1, 1, 3)
    torch.testing.assert_close(agent.target_actor(h)[0, 0], torch.tensor([1.0, -2.0]).tanh())


@pytest.mark.parametrize("algorithm", [DDPG, TD3])
def test_an_actor_far_up_its_tanh_comes_back_though_the_critic_gives_no_slope(algorithm) -> None:
    def settled(saturation: float) -> float:
        agent = algorithm(
            SPEC,
            hidden_sizes=(4,),
            learning_rate=0.1,
            policy_delay=1,
            action_saturation_penalty=saturation,
        )
        constant_actor(agent.policy.actor, 20.0, -20.0)
        constant_critic(agent.critic, 2.0)
        for _ in range(300):
            agent.update(make_batch([1] * 8))
            constant_critic(agent.critic, 2.0)
        return agent.policy.actor.raw(torch.zeros(1, 3)).abs().max().item()

    assert settled(0.01) < 4
    assert settled(0.0) == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("algorithm", [DDPG, TD3])
def test_the_actor_follows_its_first_heads_slope(algorithm) -> None:
    """Q_1 = -a_1 + 0 a_2, so the first action falls; the other head would raise it."""
    agent = algorithm(SPEC, hidden_sizes=(4,), learning_rate=0.05, policy_delay=1)
    with torch.no_grad():
        for weight, bias in zip(agent.critic.trunk.weights, agent.critic.trunk.biases, strict=True):
            weight.zero_(), bias.zero_()
        first, last = agent.critic.trunk.weights
        first[:, 3, 0], agent.critic.trunk.biases[0][:, 0, 0] = 1.0, 5.0  # relu(a_1 + 5)
        last[:, 0, 0] = 1.0
        last[0, 0, 0] = -1.0
    constant_actor(agent.policy.actor, 0.0, 0.0)
    batch = make_batch([1] * 8)
    loss = agent.actor_loss(batch, *2 * [batch.observation["observation"][:, :1]])[0]
    assert loss.item() == pytest.approx(5.0)  # -Q_1 = 0 + 5
    agent.update(batch)
    action = agent.policy.actor(torch.zeros(1, 3))[0]
    assert action[0] < -0.01
