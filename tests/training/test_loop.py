"""The loop: what it counts, when it learns, and that stopping it changes nothing."""

import csv
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toys import SPEC, Walk, constant_actor, through_the_disk, weights

from offpcc.algorithms import DDPG, PPO, SAC, TD3, OffPolicy
from offpcc.algorithms.core.agent import UpdateOutput
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.vector import SequentialEnvs
from offpcc.errors import DivergedError, NoUpdateError, Stopped
from offpcc.networks import LSTM
from offpcc.replay import EpisodeReplay, Rollout
from offpcc.replay.batch import Batch, RolloutBatch
from offpcc.storage.checkpoint import Checkpoints
from offpcc.training.collector import Collector
from offpcc.training.evaluator import Evaluator
from offpcc.training.loop import CLOCK, Training, columns
from offpcc.training.tracking import Recorder

AGENT: dict[str, Any] = {
    "summarizer": partial(LSTM, hidden_size=4),
    "hidden_sizes": (6,),
    "seed": 3,
}


def made(
    folder: Path,
    algorithm: type[OffPolicy] = DDPG,
    *,
    copies: int = 1,
    walk: Callable[[], Walk] = Walk,
    agent: dict[str, Any] = AGENT,
    replay: dict[str, Any] | None = None,
    **settings: Any,
) -> Training:
    """A run of 60 steps and 3 epochs whose first 15 steps are uniform."""
    learner = algorithm(SPEC, **agent)
    plan = {"steps": 60, "eval_interval": 20, "learning_starts": 15}
    experience = {"batch_size": 4, "sequence_length": 3, "burn_in": 2, "buffer_size": 40}
    return Training(
        learner,
        EpisodeReplay(SPEC, learner.state_size, **experience | (replay or {})),
        Collector(learner, [EnvAdapter(walk()) for _ in range(copies)], seed=6),
        Evaluator(SequentialEnvs(EnvAdapter(walk()) for _ in range(2)), episodes=3),
        Recorder(folder, columns(learner)),
        **plan | settings,
    )


def rows(folder: Path) -> list[dict[str, str]]:
    """The rows of progress.csv without the clock."""
    with (folder / "progress.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(file)]


def column(folder: Path, name: str) -> list[float]:
    return [float(row[name]) for row in rows(folder)]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(one[k], other[k]) for k in one)


# Counting


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize(("ratio", "expected"), [(1.0, 45), (2.0, 90), (0.5, 22)])
def test_updates_are_owed_for_every_step_after_the_warm_up(
    tmp_path, copies, ratio, expected
) -> None:
    training = made(tmp_path, copies=copies, replay={"replay_ratio": ratio})
    training.run()
    assert training.collector.steps == 60
    assert training.updates == training.agent.optimizer.steps == expected
    assert column(tmp_path, "env_steps")[-1] == 60
    assert column(tmp_path, "updates")[-1] == expected


def test_what_is_owed_before_there_is_an_episode_is_made_good_after_it(tmp_path) -> None:
    training = made(tmp_path, walk=partial(Walk, steps=30))
    training.run()
    assert training.updates == 45  # the steps 16 … 60, the first 15 of them at step 30


def test_an_epoch_ends_with_a_row_and_so_does_the_run(tmp_path) -> None:
    made(tmp_path, steps=50).run()
    assert column(tmp_path, "env_steps") == [20, 40, 50]


def test_copies_that_step_past_an_epochs_end_still_close_each_epoch_once(tmp_path) -> None:
    made(tmp_path, copies=7, steps=70).run()
    assert column(tmp_path, "env_steps") == [21, 42, 63, 70]


def test_a_rows_training_scores_are_those_of_its_own_epochs_episodes(tmp_path) -> None:
    class Paid(Walk):
        def step(self, action: Any) -> Any:
            seen, _, *rest = super().step(action)
            return seen, float(len(self.seeds)), *rest  # the episode's number, from 1

    made(tmp_path, walk=partial(Paid, steps=5), eval_interval=10, steps=30).run()
    # Episodes (1, 2), (3, 4), (5, 6) of 5 steps each: 5 · 1.5, 5 · 3.5, 5 · 5.5
    assert column(tmp_path, "train_return") == [7.5, 17.5, 27.5]
    assert column(tmp_path, "train_return_se") == pytest.approx([2.5, 2.5, 2.5])
    assert column(tmp_path, "train_length") == [5, 5, 5]
    assert column(tmp_path, "episodes") == [2, 4, 6]


class Itemised(Walk):
    """Says what its rewards are the sum of, and something more later."""

    def step(self, action: Any) -> Any:
        seen, reward, *ends, _ = super().step(action)
        terms = {"walk": reward - 1.0, "time": 1.0} | ({"late": 5.0} if self.left % 5 == 0 else {})
        return seen, reward, *ends, {"rewards": terms}


@pytest.mark.parametrize("stop", [None, 25])
def test_a_row_has_the_terms_of_the_rewards_that_the_first_step_names(tmp_path, stop) -> None:
    how = {"walk": partial(Itemised, steps=7), "eval_interval": 14, "steps": 42}
    training = made(tmp_path, **how)
    if stop:
        while training.collector.steps < stop:
            if training.collector.steps // 14 > training.epochs:
                training.end_epoch()
            training.step()
        parts = through_the_disk(training.parts())
        training = made(tmp_path, **how)
        training.restore(parts)
    training.run()
    assert column(tmp_path, "train_reward_time") == [7, 7, 7]
    returns, walks = (column(tmp_path, name) for name in ("train_return", "train_reward_walk"))
    assert walks == pytest.approx([total - 7 for total in returns], abs=1e-4)
    assert column(tmp_path, "test_reward_time") == [7, 7, 7]
    assert "train_reward_late" not in rows(tmp_path)[0]


def test_the_warm_up_is_uniform_and_then_the_agent_acts(tmp_path) -> None:
    training = made(tmp_path, agent=AGENT | {"exploration_noise": 0.0, "learning_rate": 0.0})
    constant_actor(training.agent.policy.actor, 0.5, -0.5)
    training.collector.sync()
    actions: list[np.ndarray] = []
    env = training.collector.envs[0]
    plain = env.play
    env.play = lambda action: (actions.append(action.copy()), plain(action))[1]
    training.run()
    chosen = np.tanh(np.float32([0.5, -0.5]))
    own = [np.allclose(action, chosen, atol=1e-6) for action in actions]
    assert own == 15 * [False] + 45 * [True]


def test_what_enters_replay_enters_the_statistics(tmp_path) -> None:
    training = made(tmp_path, agent=AGENT | {"normalize_observations": True})
    training.run()
    moments = training.agent.policy.normalizer.moments[0]
    under_way = len(training.collector.trajectories[0].action)
    assert int(moments.count) == 60 - under_way


def test_a_rollouts_statistics_move_once_it_is_learned_from(tmp_path, monkeypatch) -> None:
    learner, counts = PPO(SPEC, hidden_sizes=(6,), normalize_observations=True), []
    moments, update = learner.policy.normalizer.moments[0], learner.update

    def counted(batch: RolloutBatch) -> UpdateOutput:
        counts.append(int(moments.count))
        return update(batch)

    monkeypatch.setattr(learner, "update", counted)
    Training(
        learner,
        Rollout(SPEC, learner.state_size, rollout_steps=10),
        Collector(learner, [EnvAdapter(Walk())], rollout_steps=10),
        Evaluator(SequentialEnvs([]), episodes=0),
        Recorder(tmp_path, columns(learner)),
        steps=30,
        learning_starts=0,
    ).run()
    assert counts == [0, 10, 20] and moments.count == 30


def test_progress_is_told_step_by_step(tmp_path) -> None:
    result: list[int] = []
    made(tmp_path, copies=3, advance=result.append).run()
    assert result == 20 * [3]


def test_each_update_knows_how_far_the_training_is(tmp_path, monkeypatch) -> None:
    training, result = made(tmp_path), []
    update = training.agent.update

    def noting(batch: Batch) -> UpdateOutput:
        result.append(training.agent.progress)
        return update(batch)

    monkeypatch.setattr(training.agent, "update", noting)
    training.run()
    assert result == [step / 60 for step in range(16, 61)]


# What changes nothing


@pytest.mark.parametrize("algorithm", [SAC, TD3])
def test_evaluation_leaves_the_training_curve_as_it_is(tmp_path, algorithm) -> None:
    often, once, never = (made(tmp_path / str(n), algorithm, eval_interval=n) for n in (4, 60, 61))
    never.evaluator.episodes = 0
    for training in (often, once, never):
        training.run()
    assert len(rows(tmp_path / "4")) == 15
    assert rows(tmp_path / "60")[0]["test_return"] and not rows(tmp_path / "61")[0]["test_return"]
    assert equal(weights(often.agent), weights(once.agent))
    assert equal(weights(often.agent), weights(never.agent))


def interrupted(folder: Path, at: int, **settings: Any) -> Training:
    """A run that was stopped after so many steps and restored into new objects."""

    def interrupt() -> None:
        if first.collector.steps == at:
            raise Stopped(signal.SIGTERM)

    first = made(folder, interrupt=interrupt, **settings)
    with pytest.raises(Stopped):
        first.run()
    parts = through_the_disk(first.parts())
    chunk = through_the_disk(first.replay.chunk(0))
    settings["agent"] = settings.get("agent", AGENT) | {"seed": 8}
    second = made(folder, **settings)
    second.replay.extend(chunk)
    second.restore(parts)
    assert second.collector.steps == at and second.collector.exact
    return second


@pytest.mark.parametrize("at", [9, 20, 33, 57])
@pytest.mark.parametrize(
    ("algorithm", "copies", "states", "settings"),
    [
        (SAC, 1, 0, {}),
        (SAC, 3, 2, {"critic_state": True}),
        (TD3, 1, 0, {"normalize_observations": True, "shared": True}),
    ],
)
def test_a_run_stopped_and_restored_equals_an_unbroken_one(
    tmp_path, at, algorithm, copies, states, settings
) -> None:
    how = {
        "algorithm": algorithm,
        "copies": copies,
        "agent": AGENT | settings,
        "replay": {"store_states": states, "replay_ratio": 0.7},
    }
    unbroken = made(tmp_path / "one", **how)
    unbroken.run()
    resumed = interrupted(tmp_path / "two", at - at % copies, **how)
    resumed.run()
    assert equal(weights(unbroken.agent), weights(resumed.agent))
    assert rows(tmp_path / "one") == rows(tmp_path / "two")
    assert len(rows(tmp_path / "one")) == 3
    assert torch.equal(unbroken.collector.state, resumed.collector.state)


@pytest.mark.parametrize("at", [1, 3])
def test_a_stop_is_heard_between_two_updates_and_the_rest_is_made_good_on_resume(
    tmp_path, at
) -> None:
    def interrupt() -> None:
        if first.updates == at:
            raise Stopped(signal.SIGTERM)

    how = {"walk": partial(Walk, steps=20), "agent": AGENT}  # 5 updates are owed at step 20
    unbroken = made(tmp_path / "one", **how)
    unbroken.run()
    first = made(tmp_path / "two", interrupt=interrupt, **how)
    with pytest.raises(Stopped):
        first.run()
    assert (first.collector.steps, first.updates) == (20, at)
    second = made(tmp_path / "two", **how)
    second.replay.extend(through_the_disk(first.replay.chunk(0)))
    second.restore(through_the_disk(first.parts()))
    second.run()
    assert equal(weights(unbroken.agent), weights(second.agent))
    assert rows(tmp_path / "one") == rows(tmp_path / "two")


# Episodes without an end


@pytest.mark.parametrize(
    "settings", [{"sequence_length": 3}, {"sequence_length": None, "burn_in": 0}]
)
def test_an_episode_without_an_end_is_learned_from_while_it_runs(tmp_path, settings) -> None:
    training = made(tmp_path, walk=partial(Walk, steps=10**6), replay=settings, copies=2)
    training.evaluator.max_episode_steps = 5
    training.collector.long_episode = 10
    training.run()
    assert training.updates == 46 and training.episodes == 0
    assert len(training.replay) > 0


def test_a_run_within_a_long_episode_goes_on_from_its_checkpoint(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("offpcc.training.collector.LONG_EPISODE", 10)
    how = {"walk": partial(Walk, steps=10**6), "replay": {"sequence_length": 3}}

    def prepared(folder: Path, **more: Any) -> Training:
        training = made(folder, **how, **more)
        training.evaluator.max_episode_steps = 5
        training.collector.long_episode = 5
        training.checkpoints = Checkpoints(folder / "checkpoints")
        return training

    unbroken = prepared(tmp_path / "one")
    unbroken.run()
    first = prepared(tmp_path / "two", steps=33)
    first.run()
    assert len(first.collector.trajectories[0].dropped_actions) == 3
    second = prepared(tmp_path / "two")
    second.restore(second.checkpoints.load(second.replay)[0])
    second.run()
    assert second.collector.exact and equal(weights(unbroken.agent), weights(second.agent))


# What ends it, and what does not


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"steps": 15}, r"in 15 steps: the first 15 are uniform \(learning_starts\); ask for more"),
        ({"walk": partial(Walk, steps=70)}, "in 60 steps: no episode has ended"),
        ({"replay": {"replay_ratio": 0.0}}, r"in 60 steps: replay_ratio is 0\.0"),
    ],
)
def test_a_run_without_an_update_says_why(tmp_path, settings, why) -> None:
    with pytest.raises(NoUpdateError, match=f"no update was made {why}"):
        made(tmp_path, **settings).run()
    assert rows(tmp_path), "what was played and evaluated is there"


class RuinedOnce(Walk):
    """Pays too much in one step of many."""

    def step(self, action: Any) -> Any:
        seen, reward, *rest = super().step(action)
        return seen, 1e30 if len(self.seeds) == 3 and self.left == 1 else reward, *rest


def test_that_many_updates_are_skipped_is_said_once(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("offpcc.processes.notices._said", set())
    made(tmp_path, walk=RuinedOnce, steps=60, max_skipped_updates=1_000).run()
    shares = column(tmp_path, "skipped")[1:]
    assert any(0.05 < share < 1 for share in shares)
    said = capsys.readouterr().err
    assert said.count("of an epoch's updates were skipped") == 1


def test_few_skipped_updates_go_without_a_word(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("offpcc.processes.notices._said", set())
    made(tmp_path).run()
    assert "skipped" not in capsys.readouterr().err


class Ruined(Walk):
    """Pays so much that a squared error is infinite."""

    def step(self, action: Any) -> Any:
        seen, _, *rest = super().step(action)
        return seen, 1e30, *rest


def test_too_many_updates_in_a_row_that_are_not_finite_end_the_run(tmp_path) -> None:
    training = made(tmp_path, walk=Ruined, steps=400)
    before = weights(training.agent)
    with pytest.raises(
        DivergedError, match=r"10 updates in a row.*not finite.*Lower learning_rate"
    ):
        training.run()
    assert training.updates == training.agent.consecutive_nonfinite == 10
    assert equal(weights(training.agent), before)


def test_patience_decides_how_many_are_too_many(tmp_path) -> None:
    training = made(tmp_path, walk=Ruined, steps=150, max_skipped_updates=1_000)
    training.run()
    assert column(tmp_path, "skipped")[-1] == 1.0
    assert training.agent.consecutive_nonfinite == 135


def test_the_deployed_policy_is_evaluated_and_kept(tmp_path) -> None:
    training = made(tmp_path, agent=AGENT | {"policy_ema_tau": 0.01}, checkpoints=Disk())
    judged = []
    evaluate = training.evaluator
    training.evaluator = lambda policy, _: judged.append(policy) or evaluate(policy)
    kept = training.checkpoints.policies
    training.run()
    assert judged == [training.agent.deployed] * 3
    newest, deployed = (p.state_dict() for p in (training.agent.policy, training.agent.deployed))
    assert equal(training.parts()["policy"], deployed) and not equal(deployed, newest)
    assert equal(kept[-1], deployed)


class Disk:
    """Checkpoints that note what they are asked to keep, on a disk that fails on request."""

    def __init__(self, full: tuple[int, ...] = ()) -> None:
        self.full, self.steps, self.best, self.policies = full, [], 0, []

    def save(self, step: int, *content: Any) -> None:
        if step in self.full:
            raise OSError("no space left on device")
        self.steps.append(step)

    def save_best(self, policy: Any) -> None:
        self.best += 1
        self.policies.append(policy)


def test_every_epoch_is_saved_and_the_best_one_kept_beside(tmp_path) -> None:
    disk = Disk()
    made(tmp_path, checkpoints=disk).run()
    assert disk.steps == [20, 40, 60]
    returns = column(tmp_path, "test_return")
    assert disk.best == len({max(returns[: i + 1]) for i in range(len(returns))})


def test_a_stopped_run_is_saved_where_it_is(tmp_path) -> None:
    def interrupt() -> None:
        if training.collector.steps == 26:
            raise Stopped(signal.SIGINT)

    disk = Disk()
    training = made(tmp_path, checkpoints=disk, interrupt=interrupt)
    with pytest.raises(Stopped):
        training.run()
    assert disk.steps == [20, 26]


@pytest.mark.parametrize(("full", "failed"), [((40,), False), ((60,), True)])
def test_a_full_disk_is_told_and_training_goes_on(tmp_path, capsys, full, failed) -> None:
    disk = Disk(full)
    training = made(tmp_path, checkpoints=disk)
    training.run()
    assert disk.steps == [step for step in (20, 40, 60) if step not in full]
    assert training.save_failed is failed
    result = capsys.readouterr().err
    assert "no space left on device" in result and "training goes on" in result
