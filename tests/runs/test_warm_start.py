"""A run that starts from another's networks: what it takes, what it leaves, what it refuses."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from children import launch, tiny
from test_experiment import contents, rows
from torch import Tensor, nn

import offpcc
from offpcc.algorithms import ActorCritic, OffPolicy, Policy
from offpcc.errors import ConfigError, NoCheckpointError, RunMissingError
from offpcc.runs.build import Parts, build
from offpcc.runs.run_spec import RunSpec
from offpcc.runs.warm_start import WarmStart
from offpcc.storage.run_folder import RunFolder

CARTPOLE = "cartpole-continuous-p-v0"
SHORT = "steps = 120\neval_interval = 60\nlearning_starts = 30\nprevious_action = True\n"
NORMALIZED = "normalize_observations = True\n"
ROLLOUTS = "learning_starts = 0\nrollout_steps = 30\nnum_epochs = 2\nrecurrent_sequence_length = 6"


def begin(folder: Path, algo: str, more: str = NORMALIZED, **settings: Any) -> RunFolder:
    given = {"config": tiny(folder, SHORT + more), "seed": 1, "results": folder / "results"}
    return offpcc.run(CARTPOLE, algo, **given | settings)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of RTD3 with an encoder that has weights, and updates."""
    run = begin(tmp_path_factory.mktemp("older"), "rtd3", NORMALIZED + "embedding_size = 5")
    assert float(rows(run)[-1]["updates"]) > 0
    return run


def started(
    folder: Path, older: RunFolder, algo: str, more: str = "", seed: int = 2, env: str = CARTPOLE
) -> tuple[Parts, WarmStart]:
    """The parts of a run that starts from an older one, and what it has taken."""
    file = tiny(folder, SHORT + NORMALIZED + "embedding_size = 5\n" + more)
    warm_start = WarmStart(older.path)
    return build(RunSpec(env, algo, config=file).compose(), env, seed, warm_start.apply), warm_start


def agent_of(parts: Parts) -> ActorCritic:
    assert isinstance(parts.agent, ActorCritic)
    return parts.agent


def history(steps: int = 12) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)
    sizes = {"observation": 2, "previous_action": 1}
    return {key: torch.randn(3, steps, size, generator=draw) for key, size in sizes.items()}


def features(policy: Policy) -> Tensor:
    seen = policy.normalizer(history())
    with torch.no_grad():
        return policy.memory.unroll(seen, policy.initial_state(3))[0]


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


# What is taken


@pytest.mark.parametrize(
    ("algo", "more"),
    [
        ("lstm_ppo", ROLLOUTS),
        ("rsac", "policy_ema_tau = 0.1"),
        ("rsac_s", ""),
        ("rdpg", "policy_ema_tau = 0.1"),
    ],
)
def test_the_new_memory_tells_what_the_old_one_told(tmp_path, older, algo, more) -> None:
    parts, warm_start = started(tmp_path, older, algo, more)
    agent, before = agent_of(parts), offpcc.load(older.path)
    assert "memory" in warm_start.taken and "encoder" in warm_start.taken
    for policy in (agent.policy, agent.deployed):
        assert torch.equal(features(policy), features(before))
    acting = parts.collector.agent.policy  # type: ignore[attr-defined]
    assert torch.equal(features(acting), features(before)), "the copy that acts"


@pytest.mark.parametrize("algo", ["rtd3", "rdpg", "rsac", "rsac_s"])
def test_slow_copies_start_from_what_was_taken(tmp_path, older, algo) -> None:
    parts, _ = started(tmp_path, older, algo, "policy_ema_tau = 0.1")
    agent = parts.agent
    assert isinstance(agent, OffPolicy)
    assert all(same(slow, online) for slow, online in agent.target_pairs())
    assert same(agent.average_policy, agent.policy) and agent.average_policy is not agent.policy


def test_an_actor_of_the_same_kind_is_taken_and_acts_as_before(tmp_path, older) -> None:
    parts, warm_start = started(tmp_path, older, "rdpg")
    policy, before = agent_of(parts).policy, offpcc.load(older.path)
    assert torch.equal(policy.actor(features(policy)), before.actor(features(before)))
    assert [*warm_start.taken] == [
        "statistics of observation",
        "statistics of previous_action",
        "encoder",
        "memory",
        "actor",
    ]
    assert warm_start.left == {}


def test_statistics_travel_whole_and_go_on_from_their_count(tmp_path, older) -> None:
    parts, warm_start = started(tmp_path, older, "lstm_ppo", ROLLOUTS)
    now, before = agent_of(parts).policy.normalizer, offpcc.load(older.path).normalizer
    assert same(now, before)
    steps = int(before.moments[0].count)  # type: ignore[arg-type]
    assert steps > 100 and warm_start.taken["statistics of observation"] == f"{steps:,} steps"
    now.observe({key: values[0].numpy() for key, values in history(7).items()})
    assert int(now.moments[0].count) == steps + 7  # type: ignore[arg-type]


def test_from_td3_to_ppo_all_but_the_head_is_taken(tmp_path, older) -> None:
    # Equal shapes and activations do not make a deterministic head a mean.
    more = f"{ROLLOUTS}\nactivation = 'relu'\nhidden_sizes = (16,)"
    _, warm_start = started(tmp_path, older, "lstm_ppo", more)
    assert warm_start.taken["encoder"] == "Encoder, 20 weights"
    assert warm_start.taken["memory"] == "LSTM, 480 weights"
    assert warm_start.left == {"actor": "DeterministicActor in that run, NormalActor in this one"}


def test_critics_and_optimizers_start_anew(tmp_path, older) -> None:
    parts, _ = started(tmp_path, older, "rdpg")
    file = tiny(tmp_path, SHORT + NORMALIZED + "embedding_size = 5\n")
    cold = build(RunSpec(CARTPOLE, "rdpg", config=file).compose(), CARTPOLE, 2)
    warm, fresh = agent_of(parts), agent_of(cold)
    assert same(warm.critic, fresh.critic) and same(warm.critic_memory, fresh.critic_memory)
    assert not same(warm.policy.memory, fresh.policy.memory)
    assert int(warm.optimizer.steps) == 0 and len(parts.replay.episodes) == 0
    assert torch.equal(warm.generator.get_state(), fresh.generator.get_state())


def test_a_shared_memory_is_the_critics_as_well(tmp_path, older) -> None:
    parts, _ = started(tmp_path, older, "rsac_s")
    assert same(agent_of(parts).critic_memory, offpcc.load(older.path).memory)


# What is left


@pytest.mark.parametrize(
    ("more", "left"),
    [
        (
            "memory_hidden_size = 9",
            {
                "memory": "hidden_size is 8 in that run, 9 in this one",
                "actor": "it reads what the memory gives, which is another one",
            },
        ),
        (
            "summarizer = @GRU\nGRU.forget_gate_bias = 0.0",
            {
                "memory": "LSTM in that run, GRU in this one",
                "actor": "it reads what the memory gives, which is another one",
            },
        ),
        ("activation = 'tanh'", {"actor": "trunk.1 is ReLU in that run, Tanh in this one"}),
        (
            "embedding_size = 6",
            {
                "encoder": "size is 5 in that run, 6 in this one",
                "memory": "it reads what the encoder gives, which is another one",
                "actor": "it reads what the memory gives, which is another one",
            },
        ),
    ],
)
def test_what_is_of_another_kind_is_left_with_all_behind_it(tmp_path, older, more, left) -> None:
    parts, warm_start = started(tmp_path, older, "rdpg", more)
    assert [*warm_start.left] == [*left]
    assert warm_start.left == left
    before = offpcc.load(older.path)
    assert same(agent_of(parts).policy.normalizer, before.normalizer)
    assert not same(agent_of(parts).policy.actor, before.actor)


@pytest.mark.parametrize(
    ("env", "more", "wrong"),
    [
        (
            CARTPOLE,
            "normalize_observations = False",
            r"statistics of observation: normalized in that run alone; .*encoder: it reads "
            r"observation \(2,\) normalized and previous_action \(1,\) normalized in that run, "
            r"observation \(2,\) and previous_action \(1,\) in this one; memory: it reads",
        ),
        (
            CARTPOLE,
            "normalize_observations = False\nprevious_action = False",
            r"in that run, observation \(2,\) in this one",
        ),
        ("pendulum-v0", "normalize_observations = False", r"observation \(3,\) and previous"),
    ],
)
def test_a_run_that_nothing_fits_is_refused(tmp_path, older, env, more, wrong) -> None:
    with pytest.raises(ConfigError, match=rf"^nothing of {older.path} fits this run: .*{wrong}"):
        started(tmp_path, older, "rdpg", more, env=env)


def test_a_baseline_is_refused_on_either_side(tmp_path, older) -> None:
    with pytest.raises(ConfigError, match="not for baselines: the networks of this run are anoth"):
        started(tmp_path, older, "sb3_td3", "embedding_size = 0")
    baseline = begin(tmp_path, "sb3_td3")
    with pytest.raises(ConfigError, match=r"the networks of .*/sb3_td3/1 are another"):
        WarmStart(baseline.path)


# The run


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, older: RunFolder) -> tuple[Path, RunFolder]:
    """A run of PPO that starts from a copy of the older run, which is gone by now."""
    folder = tmp_path_factory.mktemp("warm")
    copy = folder / "copy"
    shutil.copytree(older.path, copy)
    run = begin(folder, "lstm_ppo", NORMALIZED + "embedding_size = 5\n" + ROLLOUTS, init_from=copy)
    shutil.rmtree(copy)
    return folder, run


def test_run_json_says_where_the_weights_are_from(warm, older) -> None:
    folder, run = warm
    weights = (older / "checkpoints/step-000000120/policy.pt").read_bytes()
    said = run.read()["init_from"]
    assert said["path"] == str(folder / "copy")
    assert (said["algo"], said["step"]) == ("rtd3", 120)
    assert said["sha256"] == hashlib.sha256(weights).hexdigest()
    assert "memory" in said["taken"] and "actor" in said["left"]
    assert float(rows(run)[-1]["updates"]) > 0


def test_a_resumed_run_is_exact_and_starts_no_second_time(older, tmp_path) -> None:
    for place in ("halved", "whole"):
        shutil.copytree(older.path, tmp_path / "copy", dirs_exist_ok=True)
        steps = "steps = 120" if place == "halved" else "steps = 240"
        more = f"{NORMALIZED}embedding_size = 5\n{ROLLOUTS}\n{steps}"
        begin(tmp_path, "lstm_ppo", more, init_from=tmp_path / "copy", run_id=place)
    shutil.rmtree(tmp_path / "copy")
    again = {"results": tmp_path / "results", "resume": True, "steps": 240}
    halved = offpcc.run(CARTPOLE, "lstm_ppo", run_id="halved", **again)
    assert halved.read()["init_from"]["path"] == str(tmp_path / "copy")
    assert rows(halved) == rows(RunFolder(halved.path.with_name("whole")))
    named = offpcc.run(
        CARTPOLE, "lstm_ppo", run_id="halved", init_from=tmp_path / "copy", **again | {"steps": 250}
    )
    assert named.read()["final"]["env_steps"] == 250, "the same run may be named again"


def test_a_resume_goes_on_from_its_own_checkpoint_alone(warm, older) -> None:
    folder, run = warm
    again = {"results": folder / "results", "resume": True, "init_from": older.path}
    before = contents(run.path)
    with pytest.raises(ConfigError, match=r"was begun from .*/copy; a resume goes on from its own"):
        offpcc.run(CARTPOLE, "lstm_ppo", **again)
    again |= {"results": older.path.parents[2], "init_from": run.path}
    with pytest.raises(ConfigError, match="was begun without --init-from; a resume goes on"):
        offpcc.run(CARTPOLE, "rtd3", **again)
    assert contents(run.path) == before


@pytest.mark.parametrize(
    ("arguments", "code", "wrong"),
    [
        (["--init-from", "nowhere"], 2, "there is no run in nowhere"),
        (["--jobs", "2", "--run_id", "a", "b", "--init-from", "nowhere"], 2, "no run in nowhere"),
        (["--init-from", "older", "--evaluate", "3"], 2, "--init-from is for training; trained"),
        (["--init-from", "older", "--export"], 2, "--init-from is for training; trained"),
        (["--compare", "memory", "--init-from", "older"], 2, "does not go with --compare"),
        (["--tune", "pendulum-p", "--init-from", "older"], 2, "does not go with --tune"),
        (["--init-from", "older", "--resume"], 2, "there is no run in results"),
        (["--init-from", "results/pendulum-v0/sac/1"], 2, "sac/1 is the run itself"),
        (["--init-from", "older"], 2, "nothing of older fits this run: statistics of observation"),
        (["--init-from", "broken"], 4, "no valid checkpoint in broken/checkpoints: step-000"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, older, arguments, code, wrong):
    shutil.copytree(older.path, tmp_path / "older")
    shutil.copytree(older.path, tmp_path / "broken")
    for path in tmp_path.glob("broken/checkpoints/step-*/policy.pt"):
        path.write_bytes(b"")
    words = [] if {"--compare", "--tune"} & {*arguments} else ["--env", "pendulum-v0"]
    child = launch(tmp_path, *words, *(["--algo", "sac"] if words else []), *arguments)
    assert child.wait() == code, child.said()
    assert child.said().count("\n") == 1 and wrong in child.said(), child.said()
    assert not (tmp_path / "results").exists()


def test_a_missing_run_and_one_without_a_checkpoint_have_errors_of_their_own(tmp_path, older):
    with pytest.raises(RunMissingError):
        begin(tmp_path, "rdpg", init_from=tmp_path / "nowhere")
    shutil.copytree(older.path, tmp_path / "older")
    shutil.rmtree(tmp_path / "older/checkpoints")
    with pytest.raises(NoCheckpointError):
        begin(tmp_path, "rdpg", init_from=tmp_path / "older")


def test_trained_with_td3_then_with_ppo(tmp_path) -> None:
    config = tiny(tmp_path, SHORT)
    first = launch(tmp_path, "--env", CARTPOLE, "--algo", "rtd3", "--config", config)
    assert first.wait() == 0, first.said()
    config = tiny(tmp_path, SHORT + ROLLOUTS)
    arguments = ["--env", CARTPOLE, "--algo", "lstm_ppo", "--config", config]
    arguments += ["--init-from", f"results/{CARTPOLE}/rtd3/1"]
    second = launch(tmp_path, *arguments, "--run_id", "a", "b", "--jobs", 2)
    assert second.wait() == 0, second.said()
    for line in (
        f"starts from results/{CARTPOLE}/rtd3/1, rtd3 at step 120",
        "  takes memory: LSTM, 416 weights",
        "  leaves actor: DeterministicActor in that run, NormalActor in this one",
        "  leaves critics, optimizers and replay: a new run has its own",
    ):
        assert all(f"lstm_ppo/{run_id}: {line}\n" in second.said() for run_id in "ab"), line
    for run_id in "ab":
        said = json.loads((tmp_path / f"results/{CARTPOLE}/lstm_ppo/{run_id}/run.json").read_text())
        assert said["init_from"]["taken"] == {"memory": "LSTM, 416 weights"}
        assert said["final"]["env_steps"] == 120
