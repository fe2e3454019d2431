"""Collecting by workers, here in this process: the same protocol as on other machines."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from toys import Walk, constant_actor, through_the_disk
from workers import (
    COPIES,
    Forgetting,
    LossyPool,
    OneByOne,
    ToyWorker,
    agent_with,
    change,
    collector_of,
    facts,
    request,
)

from offpcc.algorithms import DDPG, PPO, SAC
from offpcc.distributed.pace import Pace
from offpcc.distributed.pool import LocalPool
from offpcc.envs.adapter import EnvAdapter
from offpcc.errors import EnvironmentFault, WorkersLostError
from offpcc.training.collector import Collector

# The same as in one process


def walks(copies: int = COPIES) -> list[EnvAdapter]:
    return [EnvAdapter(Walk()) for _ in range(copies)]


def test_one_worker_asked_for_single_steps_is_a_collector_that_syncs_at_every_step() -> None:
    agents = agent_with(), agent_with()
    local = Collector(agents[0], walks(), seed=5, weight_sync="step")
    remote = collector_of(agents[1], LocalPool(ToyWorker(), 1), collect_steps=1)
    for step in range(60):
        assert facts(local.step(step < 10)) == facts(remote.step(step < 10))
        for agent in agents:
            change(agent, 0.002)
    assert local.steps == remote.steps == 60 * COPIES


def test_one_worker_asked_for_rollouts_is_a_collector_of_rollouts() -> None:
    agents = agent_with(PPO), agent_with(PPO)
    local = Collector(agents[0], walks(), seed=5, rollout_steps=7)
    remote = collector_of(agents[1], LocalPool(ToyWorker(PPO, rollout_steps=7), 1), collect_steps=7)
    for _ in range(8):
        played = [episode for _ in range(7) for episode in local.step()]
        assert sum(map(len, played)) == 7 * COPIES
        assert facts(played) == facts(remote.step())
        for agent in agents:
            change(agent, 0.01)


def test_the_first_ratios_of_four_workers_rollouts_are_1() -> None:
    agent = agent_with(PPO)
    remote = collector_of(agent, LocalPool(ToyWorker(PPO, rollout_steps=7), 4), collect_steps=7)
    for _ in range(3):
        for episode in remote.step():
            seen = {k: torch.from_numpy(v[None, :-1]) for k, v in episode.observation.items()}
            state, _ = agent.actor_and_critic_state(torch.from_numpy(episode.state[:1]))
            feature, _ = agent.policy.memory.unroll(agent.policy.normalizer(seen), state)
            head = agent.policy.actor
            now = head.log_prob(head.describe(feature[0]), torch.from_numpy(episode.action))
            ratio = (now - torch.from_numpy(episode.log_prob)).exp()
            torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=1e-5, atol=1e-5)
        change(agent)


def test_it_does_not_matter_in_which_order_workers_answer() -> None:
    agents = agent_with(), agent_with()
    one = collector_of(agents[0], LocalPool(ToyWorker(), 3))
    other = collector_of(agents[1], OneByOne(ToyWorker(), 3))
    for _ in range(5):
        episodes = one.step(), other.step()
        assert facts(episodes[0]) == facts(episodes[1])
        order = [episode.env_index // COPIES for episode in episodes[0]]
        assert order == sorted(order) and len(set(order)) > 1
        for agent in agents:
            change(agent)


def test_no_two_workers_share_a_start_or_noise() -> None:
    remote = collector_of(agent_with(), LocalPool(ToyWorker(), 4), collect_steps=40)
    for uniform in (True, False):
        episodes = remote.step(uniform)
        assert {episode.env_index for episode in episodes} == set(range(4 * COPIES))
        firsts = [episode.observation["observation"][0].tobytes() for episode in episodes]
        assert len(set(firsts)) == len(firsts)
        actions = [episode.action[0].tobytes() for episode in episodes]
        assert len(set(actions)) == len(actions)


def test_steps_are_counted_over_all_copies_of_all_workers() -> None:
    remote = collector_of(agent_with(), LocalPool(ToyWorker(), 3))
    remote.step()
    remote.step()
    assert remote.steps == 2 * 9 * 3 * COPIES


# Weights


def test_zeroed_weights_act_zero_everywhere_from_the_next_request_on() -> None:
    agent = agent_with(exploration_noise=0.0)
    remote = collector_of(
        agent, LocalPool(ToyWorker(partial(DDPG, exploration_noise=0.0)), 3), collect_steps=1
    )
    first = [episode for _ in range(8) for episode in remote.step()]
    assert any(episode.action.any() for episode in first)
    constant_actor(agent.policy.actor, 0.0, 0.0)
    remote.step()
    for worker in remote.pool.workers:
        for trajectory in worker.collector.trajectories:
            assert not trajectory.action or not trajectory.action[-1].any()


def test_statistics_travel_with_the_weights_and_workers_move_none() -> None:
    make = partial(SAC, normalize_observations=True)
    agent = agent_with(make)
    remote = collector_of(agent, LocalPool(ToyWorker(make), 2))
    for _ in range(3):
        episodes = remote.step()
        for worker in remote.pool.workers:
            theirs = worker.collector.agent.policy.normalizer.state_dict()
            ours = agent.policy.normalizer.state_dict()
            assert all(torch.equal(theirs[name], ours[name]) for name in ours)
        for episode in episodes:
            agent.observe({k: v[:-1] for k, v in episode.observation.items()})


def test_memories_of_episodes_under_way_are_those_of_the_new_weights() -> None:
    agent = agent_with(exploration_noise=0.0)
    quiet = partial(DDPG, exploration_noise=0.0)
    pool = LocalPool(ToyWorker(quiet, partial(Walk, steps=30)), 2)
    remote = collector_of(agent, pool)
    remote.step()
    change(agent)
    remote.step()
    for worker in pool.workers:
        for trajectory in worker.collector.trajectories:
            seen = trajectory.observation[:-1]
            batch = {k: torch.from_numpy(np.stack([s[k] for s in seen])[None]) for k in seen[0]}
            last = worker.collector.state[trajectory.env_index % COPIES]
            torch.testing.assert_close(agent.refresh(batch, None)[0], last)


def test_a_worker_that_answers_another_request_is_a_bug_that_does_not_pass_unseen() -> None:
    remote = collector_of(agent_with(), LocalPool(ToyWorker(), 1))
    remote.step()
    remote.version += 1
    remote.pool.send(remote.request, [0])
    remote.done, remote.asked = set(), {0}
    with pytest.raises(RuntimeError, match="worker 0 answers request 1, not 2"):
        remote.step()


def test_the_progress_of_the_training_comes_along() -> None:
    agent = agent_with()
    remote = collector_of(agent, LocalPool(ToyWorker(), 2))
    agent.progress = 0.25
    remote.step()
    assert [worker.collector.agent.progress for worker in remote.pool.workers] == [0.25, 0.25]


# Staleness


def actions_of(staleness: int) -> list[float]:
    """The action of each request's last step, the actor's output being the request's number."""
    agent = agent_with(exploration_noise=0.0)
    quiet = partial(DDPG, exploration_noise=0.0)
    remote = collector_of(agent, LocalPool(ToyWorker(quiet), 1), staleness=staleness)
    found = []
    for number in range(1, 5):
        constant_actor(agent.policy.actor, number / 10, 0.0)
        last = remote.step()[-1].action[-1]
        found.append(round(10 * float(np.arctanh(last[0]))))
    return found


def test_weights_are_the_newest_or_always_those_of_one_request_before() -> None:
    assert actions_of(0) == [1, 2, 3, 4]
    assert actions_of(1) == [1, 1, 2, 3]


# Checkpoints


@pytest.mark.parametrize("staleness", [0, 1])
@pytest.mark.parametrize("long_episode", [100, 5])
def test_a_restored_collector_goes_on_as_the_old_one(monkeypatch, staleness, long_episode) -> None:
    # Of longer episodes, what has been handed over is dropped, but for the actions.
    monkeypatch.setattr("offpcc.training.collector.LONG_EPISODE", 8)

    def new() -> tuple[Any, Any]:
        agent = agent_with()
        make = ToyWorker(walk=partial(Walk, steps=31), long_episode=long_episode)
        return agent, collector_of(agent, LocalPool(make, 2), staleness=staleness)

    agent, remote = new()
    saved, seen = [], []
    for step in range(6):
        seen.append(facts(remote.step(step < 2)))
        change(agent)
        # The weights of the learner are saved beside it.
        saved.append(through_the_disk((remote.state_dict(), agent.state_dict())))
    dropped = {name[0] for state, _ in saved for name in state["past"]}
    assert dropped == (set("0123") if long_episode == 5 else set())
    for step, (state, weights) in enumerate(saved):
        other, resumed = new()
        other.load_state_dict(weights)
        resumed.load_state_dict(state)
        assert resumed.exact
        for later in range(step + 1, 6):
            assert facts(resumed.step(later < 2)) == seen[later]
            change(other)
        assert resumed.steps == remote.steps


def test_a_checkpoint_has_the_weights_once() -> None:
    remote = collector_of(agent_with(), LocalPool(ToyWorker(), 3))
    remote.step()
    state = remote.state_dict()
    assert state["acting"] and not any("acting" in worker for worker in state["workers"])


# Failures


class Failing(Walk):
    """The copies that are made third fail once in the second episode."""

    made: list["Failing"] = []  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(steps=4)
        self.made.append(self)
        self.number, self.resets = len(self.made), 0

    def reset(self, **how: Any) -> Any:
        self.resets += 1
        return super().reset(**how)

    def step(self, action: Any) -> Any:
        if self.number == 3 and self.resets == 2 and self.left == 2:
            self.resets = 3  # once
            raise RuntimeError("a cable came loose")
        return super().step(action)


def test_a_fault_of_an_environment_ends_the_run_as_at_home_and_loses_nothing() -> None:
    Failing.made = []
    remote = collector_of(agent_with(), LocalPool(ToyWorker(walk=Failing), 2))
    with pytest.raises(EnvironmentFault, match=r"a cable came loose.*copy 2, episode 1"):
        remote.step()
    assert remote.steps == 0, "nothing was handed over"
    saved = through_the_disk(remote.state_dict())

    Failing.made = []
    unbroken = collector_of(agent_with(), LocalPool(ToyWorker(walk=partial(Walk, steps=4)), 2))
    resumed = collector_of(agent_with(), LocalPool(ToyWorker(walk=partial(Walk, steps=4)), 2))
    resumed.load_state_dict(saved)
    assert resumed.exact
    for _ in range(3):
        assert facts(resumed.step()) == facts(unbroken.step())
    assert resumed.steps == unbroken.steps


def test_of_a_worker_that_is_lost_after_a_fault_nothing_is_handed_over_twice() -> None:
    Failing.made = []
    remote = collector_of(agent_with(), LocalPool(ToyWorker(walk=Failing), 2))
    with pytest.raises(EnvironmentFault):
        remote.step()
    pool = LossyPool(ToyWorker(walk=partial(Walk, steps=4)), 2, [(1, 1)])
    resumed = collector_of(agent_with(), pool)
    resumed.load_state_dict(through_the_disk(remote.state_dict()))
    resumed.step()
    assert resumed.steps == 9 * 2 * COPIES


def test_a_fault_that_is_found_when_a_run_is_saved_ends_it_before_the_next_step() -> None:
    Failing.made = []
    make = ToyWorker(walk=Failing)
    remote = collector_of(agent_with(), LocalPool(make, 2), staleness=1, collect_steps=4)
    remote.step()
    remote.state_dict()
    stepped = [env.unwrapped.left for env in remote.pool.workers[1].collector.envs.envs]
    with pytest.raises(EnvironmentFault, match="a cable came loose"):
        remote.step()
    assert stepped == [e.unwrapped.left for e in remote.pool.workers[1].collector.envs.envs]


def test_a_lost_workers_successor_plays_the_next_episodes_and_its_share_again(capsys) -> None:
    whole = collector_of(agent_with(), LocalPool(ToyWorker(), 3))
    lossy = collector_of(agent_with(), LossyPool(ToyWorker(), 3, [(1, 2)]))
    first = whole.step(), lossy.step()
    assert facts(first[0]) == facts(first[1])
    numbers = list(lossy.roster.numbers[1])
    second = whole.step(), lossy.step()
    assert lossy.steps == whole.steps, "the share was played again"
    others = [[e for e in each if e.env_index // COPIES != 1] for each in second]
    assert facts(others[0]) == facts(others[1])
    assert [e for e in second[1] if e.env_index // COPIES == 1]
    begun = {
        trajectory.env_index: trajectory.episode
        for trajectory in lossy.pool.workers[1].collector.trajectories
    }
    assert all(begun[COPIES + copy] > number for copy, number in enumerate(numbers))
    assert (lossy.exact, lossy.lost_workers) == (False, 1)
    assert not lossy.state_dict()["exact"]
    assert "worker 1 was lost (killed by SIGKILL)" in capsys.readouterr().err


def test_a_worker_that_is_lost_when_a_run_is_saved_or_resumed_is_replaced_too() -> None:
    remote = collector_of(agent_with(), Forgetting(ToyWorker(), 2))
    remote.step()
    numbers = list(remote.roster.numbers[1])
    state = through_the_disk(remote.state_dict())
    assert (state["exact"], state["incarnations"]) == (False, [0, 1])
    assert state["workers"][1]["steps"] == state["workers"][0]["steps"], "its share was done"
    begun = [each["episode"] for each in state["workers"][1]["trajectories"]]
    assert begun == [number + 1 for number in numbers]

    whole = collector_of(agent_with(), LocalPool(ToyWorker(), 2))
    whole.step()
    resumed = collector_of(agent_with(), Forgetting(ToyWorker(), 2))
    resumed.load_state_dict(through_the_disk(whole.state_dict()))
    assert (resumed.exact, resumed.lost_workers) == (False, 1)
    other = collector_of(agent_with(), LocalPool(ToyWorker(), 2))
    other.load_state_dict(through_the_disk(whole.state_dict()) | {"exact": False})
    assert not other.exact
    episodes = whole.step(), resumed.step()
    assert resumed.steps == whole.steps
    firsts = [[e for e in each if e.env_index < COPIES] for each in episodes]
    assert facts(firsts[0]) == facts(firsts[1])


def test_weights_go_out_as_copies_on_the_cpu() -> None:
    agent = agent_with()
    sent = request(agent).weights
    before = {name: value.clone() for name, value in sent["policy"].items()}
    change(agent)
    assert all(torch.equal(sent["policy"][name], before[name]) for name in before)
    assert {value.device.type for value in sent["policy"].values()} == {"cpu"}


def test_a_lost_workers_successor_has_other_noise() -> None:
    agents = [ToyWorker()(1, incarnation).collector.agent for incarnation in (0, 1, 2)]
    states = [agent.generator.get_state().numpy().tobytes() for agent in agents]
    assert len(set(states)) == 3


def test_a_worker_that_is_lost_three_times_in_one_request_ends_the_run() -> None:
    remote = collector_of(agent_with(), LossyPool(ToyWorker(), 2, [(0, 2)] * 3))
    remote.step()
    with pytest.raises(WorkersLostError, match="worker 0 was lost 3 times in one request"):
        remote.step()


def test_losses_with_an_answer_in_between_do_not_add_up() -> None:
    lost = [(0, 1), (0, 1), (0, 2), (0, 2), (1, 2)]
    remote = collector_of(agent_with(), LossyPool(ToyWorker(), 2, lost))
    remote.step()
    remote.step()
    assert remote.lost_workers == 5


# One worker


def test_a_worker_that_has_made_its_steps_answers_at_once_and_keeps_its_memories() -> None:
    worker, agent = ToyWorker()(0, 0), agent_with()
    worker.collect(request(agent))
    state = worker.collector.state.clone()
    again = worker.collect(request(agent))
    assert (again.steps, again.episodes) == (0, [])
    assert torch.equal(worker.collector.state, state)


# The limit


def test_it_is_said_once_whether_playing_or_learning_is_the_limit(capsys, monkeypatch) -> None:
    monkeypatch.setattr("offpcc.processes.notices._said", set())
    clock = iter(np.arange(0.0, 100.0, 2.5))
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    pace = Pace()
    for _ in range(6):
        pace.called(uniform=False)
        pace.returns(1.0)
    line = "collecting takes 1 s a request, learning 2.5 s: more workers will not help\n"
    assert capsys.readouterr().err == line
    pace.collecting.extend([3.0] * 3)
    assert pace.verdict().endswith("more workers will help")


def test_a_worker_has_at_least_the_timeout_and_twenty_usual_requests_to_answer() -> None:
    pace = Pace()
    assert pace.patience(5.0) == 5.0
    pace.returns(2.0)
    assert pace.patience(5.0) == 40.0
