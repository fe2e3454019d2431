"""Greedy episodes that leave no trace."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from toys import SPEC, Walk

from offpcc.algorithms import DDPG, SAC, OffPolicy
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.step_outcome import Outcome
from offpcc.envs.vector import SequentialEnvs
from offpcc.networks import LSTM
from offpcc.training.collector import Collector
from offpcc.training.evaluator import Evaluator, Score, mean_and_error, play, summary


def agent_with(algorithm: type[OffPolicy] = SAC) -> OffPolicy:
    return algorithm(SPEC, summarizer=partial(LSTM, hidden_size=6), hidden_sizes=(8,), seed=1)


def walks(copies: int, **settings: Any) -> list[EnvAdapter]:
    return [EnvAdapter(Walk(**settings)) for _ in range(copies)]


def close(one: list[Score], other: list[Score]) -> bool:
    return [score[1:] for score in one] == [score[1:] for score in other] and np.allclose(
        [score.total for score in one], [score.total for score in other], atol=1e-5
    )


def test_every_evaluation_has_the_same_starts() -> None:
    envs = walks(3)
    evaluator = Evaluator(SequentialEnvs(envs), episodes=6, seed=5)
    scores = [evaluator(agent_with().policy) for _ in range(2)]
    assert scores[0] == scores[1] and len(scores[0]) == 6
    seeds = [seed for env in envs for seed in env.unwrapped.seeds]
    assert len(seeds) == 12 and len(set(seeds)) == 6


@pytest.mark.parametrize("copies", [2, 3, 7, 9])
def test_side_by_side_episodes_score_as_one_at_a_time(copies) -> None:
    policy = agent_with().policy
    alone = Evaluator(SequentialEnvs(walks(1)), episodes=7)(policy)
    assert len({score.length for score in alone}) > 2
    assert close(Evaluator(SequentialEnvs(walks(copies)), episodes=7)(policy), alone)


def test_another_seed_has_other_starts_and_none_is_a_training_episodes() -> None:
    def seeds(seed: int) -> set[int]:
        env = EnvAdapter(Walk())
        Evaluator(SequentialEnvs([env]), episodes=20, seed=seed)(agent_with().policy)
        return set(env.unwrapped.seeds)

    training = Collector(agent_with(), walks(2), seed=5)
    for _ in range(60):
        training.step()
    trained = {seed for env in training.envs for seed in env.unwrapped.seeds}
    assert not seeds(5) & seeds(6)
    assert not seeds(5) & trained


def test_a_score_is_what_the_greedy_episode_comes_to() -> None:
    policy = agent_with(DDPG).policy
    (score,) = play(policy, SequentialEnvs(walks(1)), [3])
    env, state, total, length, ended = EnvAdapter(Walk()), policy.initial_state(), 0.0, 0, False
    seen = env.reset(seed=3)[0]
    while not ended:
        inputs = {key: torch.from_numpy(value[None]) for key, value in seen.items()}
        action, state = policy.act(inputs, state)
        seen, reward, terminated, truncated, _ = env.step(action[0].numpy())
        ended, total, length = terminated or truncated, total + reward, length + 1
    assert score == Score(pytest.approx(total), length, None)


@pytest.mark.parametrize("success", [True, False, None])
def test_success_is_what_the_last_step_says(success) -> None:
    class Judged(Walk):
        def step(self, action: Any) -> Any:
            *step, _ = super().step(action)
            last = {} if success is None else {"success": success}
            return *step, last if self.left == 0 else {"success": not success}

    (score,) = play(agent_with().policy, SequentialEnvs([EnvAdapter(Judged(steps=4))]), [0])
    assert score.success is success


def test_an_episode_without_an_end_is_cut_and_that_is_said_once(capsys, monkeypatch) -> None:
    monkeypatch.setattr("offpcc.processes.notices._said", set())
    monkeypatch.setattr("offpcc.training.evaluator.MAX_EVALUATED", 30)
    endless = [EnvAdapter(Walk(steps=10**6)), EnvAdapter(Walk(steps=5))]
    scores = Evaluator(SequentialEnvs(endless), episodes=4)(agent_with().policy)
    assert [score.length for score in scores] == [30, 5, 30, 5]
    said = capsys.readouterr().err
    assert said.count("an episode was cut after 30 steps: the environment has no time limit") == 1
    limited = SequentialEnvs([EnvAdapter(Walk(steps=10**6), limit=50)])
    bounded = Evaluator(limited, 1, max_episode_steps=12)
    assert [score.length for score in bounded(agent_with().policy)] == [12]


def test_an_evaluation_leaves_policy_collector_and_generators_as_they_were() -> None:
    agent = agent_with()
    collector = Collector(agent, walks(2))
    collector.step()
    before = {k: v.clone() for k, v in agent.policy.state_dict().items()}
    state, generators = collector.state.clone(), states(agent, collector)
    Evaluator(SequentialEnvs(walks(2)), episodes=5)(agent.policy)
    assert all(torch.equal(v, before[k]) for k, v in agent.policy.state_dict().items())
    assert torch.equal(collector.state, state)
    assert all(map(torch.equal, states(agent, collector), generators))
    assert collector.steps == 2


def states(agent: OffPolicy, collector: Collector) -> list[torch.Tensor]:
    own = [agent.generator.get_state(), collector.agent.generator.get_state()]
    return [*own, torch.get_rng_state()]


def test_an_interrupt_is_asked_at_every_step() -> None:
    asked = []
    evaluator = Evaluator(SequentialEnvs(walks(2, steps=4)), 3)
    evaluator(agent_with().policy, lambda: asked.append(1))
    assert len(asked) == 8  # two episodes side by side, then one


def test_no_episodes_are_no_evaluation_and_less_is_refused() -> None:
    assert Evaluator(SequentialEnvs([]), episodes=0)(agent_with().policy) == []
    with pytest.raises(ValueError, match=r"Evaluator.episodes is -1; it must be at least 0"):
        Evaluator(SequentialEnvs([]), episodes=-1)


def test_the_error_is_the_standard_error_of_the_mean() -> None:
    # (1, 3): mean 2, variance ((-1)² + 1²) / (2 - 1) = 2, error √2 / √2
    assert mean_and_error([1.0, 3.0]) == (2.0, pytest.approx(1.0))
    assert mean_and_error([5.0]) == (5.0, 0.0)


def test_a_summary_has_success_only_where_it_is_known() -> None:
    scores = [Score(1.0, 4, None), Score(3.0, 6, None)]
    row = {"test_return": 2.0, "test_return_se": pytest.approx(1.0), "test_length": 5.0}
    assert summary("test", scores) == row
    result = [Score(1.0, 4, True), Score(3.0, 6, False), Score(2.0, 5, True), Score(2.0, 5, None)]
    assert summary("train", result)["train_success"] == pytest.approx(2 / 3)
    assert summary("train", []) == {}


def test_a_summary_has_the_mean_of_each_term_of_the_reward() -> None:
    scores = [Score(1.0, 4, None, {"speed": 2.0}), Score(3.0, 6, None, {"speed": 4.0, "fuel": -1})]
    row = summary("test", scores)
    assert (row["test_reward_speed"], row["test_reward_fuel"]) == (3.0, -0.5)


def test_the_terms_of_a_reward_are_summed_over_the_episode() -> None:
    score = Score(0.0, 0, None)
    for terms in ({"speed": 1.5}, {"speed": 2.0, "fuel": -1.0}, {}):
        score = score.after(Outcome({}, 1.0, False, False, None, terms))
    assert score == Score(3.0, 3, None, {"speed": 3.5, "fuel": -1.0})
