"""Every kind of observation and of action, from training to what is made of the run afterwards."""

import csv
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from gymnasium.vector import AutoresetMode, VectorEnv

import offpcc
from offpcc.deploy.demonstrate import record_data
from offpcc.deploy.play import evaluate
from offpcc.envs.checker import check_environment
from offpcc.envs.make_env import make_env
from offpcc.envs.native_vector_env import vectorised
from offpcc.training.dataset import read_episodes

UNIT = Box(-1, 1, (2,), np.float32)
PICTURE = Box(0, 255, (12, 12, 3), np.uint8)
OBSERVATIONS: dict[str, Any] = {
    "discrete": Discrete(5, start=-1),
    "several": MultiDiscrete([[2, 3], [3, 2]]),
    "bits": MultiBinary((2, 3)),
    "doubles": Box(-1, 1, (2, 3, 2), np.float64),
    "whole": Box(0, 9, (), np.int64),
    "truths": Box(0, 1, (3,), bool),
    "stack": Box(0, 255, (2, 12, 12, 3), np.uint8),
    "nested": Dict({"arm": Tuple((UNIT, Discrete(3))), "eye": Dict({"left": PICTURE})}),
    "parts": Tuple((MultiBinary(2), Dict({"at": UNIT, "what": MultiDiscrete([2, 2])}))),
}
ACTIONS: dict[str, Any] = {
    "choice": Discrete(3, start=2),
    "choices": MultiDiscrete([[2, 3], [2, 2]], start=[[1, 0], [-1, 0]]),
    "switches": MultiBinary((2, 2)),
    "numbers": Box(-2, 3, (2, 2), np.float64),
}
CASES = [(name, "numbers", "rsac") for name in OBSERVATIONS]
CASES += [("doubles", "choice", "drsac"), ("doubles", "choices", "lstm_ppo")]
CASES += [("nested", "switches", "lstm_ppo"), ("several", "switches", "lstm_a2c")]
PICTURES = ["Encoder.channels = 2", "Encoder.strides = (2,)", "Encoder.picture_features = 3"]
OFF_POLICY = ["learning_starts = 40", "recurrent_batch_size = 2", "replay_ratio = 0.3"]
ON_POLICY = ["recurrent_sequence_length = 5"]
ROLLOUTS = {"lstm_ppo": "rollout_steps = 15", "lstm_a2c": "short_rollout_steps = 15"}
SMALL = ["eval_interval = 60", "eval_episodes = 1", "device = 'cpu'", "num_threads = 1"]
SMALL += ["hidden_sizes = (8,)", "memory_hidden_size = 8", "num_envs = 2"]
CLOCK = {"seconds", "steps_per_second", "updates_per_second"}


class Kinds(gymnasium.Env[Any, Any]):
    """Shows samples of a space, and takes what is in another alone."""

    def __init__(self, seen: str, done: str) -> None:
        self.observation_space = deepcopy(OBSERVATIONS[seen])
        self.action_space = deepcopy(ACTIONS[done])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), f"{action!r} is not of {self.action_space}"
        self.steps += 1
        seen = self.observation_space.sample()
        return seen, float(np.mean(action)), False, self.steps == 7, {}


class KindsTogether(VectorEnv):
    """So many of them, stepped together; one that has ended rests."""

    metadata: ClassVar[dict[str, Any]] = {
        "ended_copies_rest": True,
        "autoreset_mode": AutoresetMode.DISABLED,
    }

    def __init__(self, num_envs: int, seen: str, done: str) -> None:
        self.num_envs, self.envs = num_envs, [Kinds(seen, done) for _ in range(num_envs)]
        self.single_observation_space = self.envs[0].observation_space
        self.single_action_space = self.envs[0].action_space
        self.last: list[Any] = [None] * num_envs

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        for copy in np.flatnonzero(options["reset_mask"]):
            self.last[copy] = (self.envs[copy].reset(seed=seed[copy])[0], 0.0, False, False)
        return self.stacked(), {}

    def step(self, actions: Any) -> Any:
        for copy, action in enumerate(actions):
            if not self.last[copy][3]:
                self.last[copy] = self.envs[copy].step(action)[:4]
        return self.stacked(), *(np.array([last[i] for last in self.last]) for i in (1, 2, 3)), {}

    def stacked(self) -> Any:
        return batched([last[0] for last in self.last])


def batched(values: list[Any]) -> Any:
    """Observations as a vector environment gives them, however they are nested."""
    if isinstance(values[0], dict):
        return {key: batched([value[key] for value in values]) for key in values[0]}
    if isinstance(values[0], tuple):
        return tuple(batched(list(parts)) for parts in zip(*values, strict=True))
    return np.stack(values)


for _seen, _done, _ in CASES:
    gymnasium.register(
        f"Kinds-{_seen}-{_done}-v0",
        partial(Kinds, _seen, _done),
        vector_entry_point=partial(KindsTogether, seen=_seen, done=_done),
    )


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "progress.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(file)]


@pytest.mark.parametrize(("seen", "done", "algo"), CASES)
def test_each_kind_is_trained_on_gone_on_with_played_and_recorded(
    seen, done, algo, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    env = f"Kinds-{seen}-{done}-v0"
    assert isinstance(vectorised(env, 2, make_env(env)), KindsTogether)
    lines = [*SMALL, *(OFF_POLICY if "sac" in algo else ON_POLICY)]
    lines += [ROLLOUTS[algo]] if algo in ROLLOUTS else []
    lines += PICTURES if seen in ("nested", "stack") else []
    settings: dict[str, Any] = {"bind": lines, "seed": 1, "results": tmp_path}
    whole = offpcc.run(env, algo, steps=120, run_id="whole", **settings)
    parts = offpcc.run(env, algo, steps=60, run_id="parts", **settings)
    offpcc.run(env, algo, steps=120, resume=True, run_id="parts", results=tmp_path)
    assert rows(whole.path) == rows(parts.path)
    assert any(row.get("actor_loss") or row.get("surrogate") for row in rows(whole.path))
    assert evaluate(whole.path, 3)["test_length"] == 7
    name = record_data(whole.path, 2).partition(":")[0]
    adapter = offpcc.env_of(whole.path).space_adapter
    recorded = read_episodes(name, adapter).episodes
    assert [len(episode) for episode in recorded] == [7, 7]
    assert recorded[0].observation.keys() == adapter.spec.observation.keys()
    policy = offpcc.load(whole.path)
    action, _ = policy.act(
        {key: values[0] for key, values in recorded[0].observation.items()}, policy.initial_state()
    )
    assert ACTIONS[done].contains(adapter.raw(action))


@pytest.mark.parametrize(("seen", "done", "algo"), CASES)
def test_each_kind_passes_the_check(seen, done, algo) -> None:
    said = check_environment(f"Kinds-{seen}-{done}-v0")
    assert all(verdict.startswith("yes") for verdict in said.values()), said
