"""Feasibility: settings that are each in range, and cannot work together."""

import gymnasium
import pytest

from offpcc.config.bindings import compose
from offpcc.config.catalog import algorithm_file
from offpcc.errors import ConfigError
from offpcc.runs.feasibility import check_together

UNIFORM = "learning_starts is 9, but an on-policy agent learns from its own actions alone"
LONG = r"an episode of pendulum-p-v0 may take 200 steps, which EpisodeReplay.buffer_size of 199 "


def check(algo: str, *lines: str, env: str = "pendulum-p-v0") -> None:
    check_together(compose([algorithm_file(algo)], lines), env)


@pytest.mark.parametrize(
    ("algo", "lines"),
    [
        ("rsac", ("buffer_size = 199",)),
        ("sac", ("buffer_size = 199", "num_envs = 2")),
        ("sac", ("buffer_size = 199", "weight_sync = 'episode'")),
    ],
)
def test_an_episode_that_the_replay_cannot_hold_is_refused(algo, lines):
    with pytest.raises(ConfigError, match=LONG + "does not hold; raise buffer_size to 200 or more"):
        check(algo, *lines)


def test_processes_for_copies_need_copies_and_steps_to_take():
    check("rsac", "async_envs = True", "num_envs = 2")
    with pytest.raises(ConfigError, match=r"num_envs \(--envs\) is 1; give --envs 2 or more"):
        check("rsac", "async_envs = True")
    with pytest.raises(ConfigError, match="dataset 'somewhere' steps none; leave it out"):
        check("rtd3_bc", "async_envs = True", "num_envs = 2", "dataset = 'somewhere'")


WORKERS = "TrainingConfig.num_workers = 2"


@pytest.mark.parametrize(
    ("algo", "lines", "complaint"),
    [
        ("sb3_sac", (), "baselines play in their own process"),
        ("rtd3_bc", ("dataset = 'somewhere'",), "a data set is played already"),
        ("rsac", ("async_envs = True", "num_envs = 2"), "each is a process already"),
        (
            "lstm_ppo",
            ("TrainingConfig.staleness = 1",),
            "staleness 1 needs an off-policy algorithm",
        ),
        (
            "rsac",
            ("steps = 7", "num_envs = 4"),
            "num_envs is 4 in each of 2 workers and",
        ),
    ],
)
def test_workers_that_have_nothing_to_do_are_refused(algo, lines, complaint):
    with pytest.raises(ConfigError, match=complaint):
        check(algo, WORKERS, *lines)


def test_nobody_plays_ahead_without_workers():
    with pytest.raises(ConfigError, match="staleness is 1, but there are no workers"):
        check("rsac", "TrainingConfig.staleness = 1")


def test_workers_need_ray(monkeypatch):
    check("rsac", WORKERS, "TrainingConfig.staleness = 1")
    monkeypatch.setattr("offpcc.runs.feasibility.find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"num_workers \(--workers\) is 2: ray is not installed: "
    ):
        check("rsac", WORKERS)


def test_a_single_copy_of_each_worker_still_hands_over_whole_episodes():
    with pytest.raises(ConfigError, match=LONG):
        check("sac", "buffer_size = 199", WORKERS)


@pytest.mark.parametrize(
    ("algo", "lines"),
    [
        ("rsac", ("buffer_size = 200",)),
        ("sac", ("buffer_size = 100",)),
        ("rtd3_bc", ("buffer_size = 100", "dataset = 'somewhere'")),
        ("lstm_ppo", ("rollout_steps = 16",)),
        ("sb3_sac", ("buffer_size = 100",)),
    ],
)
def test_what_fits_or_is_not_stored_whole_is_taken(algo, lines):
    check(algo, *lines)


def test_of_an_environment_without_a_limit_a_piece_has_to_fit():
    gymnasium.register("limitless-v0", entry_point="nowhere:Nothing")
    check("rsac", "buffer_size = 2_000", env="limitless-v0")
    check("rsac", "buffer_size = 100", "long_episode = 100", env="limitless-v0")
    with pytest.raises(ConfigError, match=r"may take 2_000 steps, which .* of 1_999 does not hold"):
        check("rsac", "buffer_size = 1_999", env="limitless-v0")


def test_a_time_limit_of_ones_own_counts():
    check("rsac", "buffer_size = 100", "max_episode_steps = 100")


def test_a_module_before_the_id_changes_nothing():
    with pytest.raises(ConfigError, match=LONG):
        check("rsac", "buffer_size = 199", env="offpcc:pendulum-p-v0")


def test_more_copies_than_steps_are_refused():
    check("sac", "num_envs = 50", "steps = 50")
    with pytest.raises(
        ConfigError, match=r"TrainingConfig.num_envs is 51 and Training.steps 50: not one st"
    ):
        check("sac", "num_envs = 51", "steps = 50")


def test_an_on_policy_agent_begins_with_its_own_actions():
    with pytest.raises(ConfigError, match=UNIFORM):
        check("lstm_ppo", "Training.learning_starts = 9")
    check("sb3_ppo", "Training.learning_starts = 9")
