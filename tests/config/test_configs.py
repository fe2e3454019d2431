"""Every config of the project comes to an agent that can be built."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Discrete

from offpcc import domains
from offpcc.algorithms import AMP, Agent
from offpcc.config.bindings import compose
from offpcc.config.catalog import (
    CONFIGS,
    algorithm_file,
    algorithms,
    config_file,
    configs,
    domain_config,
)
from offpcc.data import Episode
from offpcc.envs.space_adapter import SpaceAdapter
from offpcc.errors import ConfigError
from offpcc.runs.build import Parts, build
from offpcc.training.dataset import Recording

SMALL = ["device = 'cpu'", "eval_episodes = 1"]
RECIPES = CONFIGS / "domains"


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    """AMP is built without its expert's data, and what learns offline from one step."""
    monkeypatch.setattr(AMP, "prepare", lambda self, read: None)
    monkeypatch.setattr("offpcc.training.dataset.read_episodes", one_step)


def one_step(source: str, space_adapter: SpaceAdapter) -> Recording:
    fields = space_adapter.spec.observation.items()
    seen = {key: np.zeros((2, *f.shape), f.dtype) for key, f in fields}
    action = np.zeros((1, space_adapter.spec.action))
    return Recording([Episode(seen, action, np.zeros(1), False, np.zeros((1, 0)))], 0)


def family(algo: str) -> Path:
    """The folder of the recipes that are for an algorithm."""
    return RECIPES / algorithm_file(algo).parent.relative_to(CONFIGS / "algorithms")


def fitting() -> list[tuple[str, str]]:
    """Every algorithm with every config that is for it."""
    return [
        (algo, name)
        for algo in algorithms()
        for name in configs()
        for path in (CONFIGS.parent / name,)
        if path.parent == (family(algo) if path.is_relative_to(RECIPES) else path.parent)
        if not (algo.startswith("sb3_") and path.parent.name in ("memory", "test"))
    ]


def built(algo: str, names: list[str], env: str) -> Parts:
    """The training of an algorithm with configs, in little memory."""
    files = [algorithm_file(algo), *map(config_file, names)]
    config = compose(files, SMALL)
    few = {"buffer_size": 1_000} | ({"rollout_steps": 64} if "sb3" in algo else {})
    room = [f"{name} = {value}" for name, value in few.items() if name in config.macros]
    return build(compose(files, SMALL + room), env, seed=1)


def env_for(algo: str, name: str) -> str:
    """An environment that a config is for: its domain's first, or one that the algorithm serves."""
    own = [
        env
        for env in domains.HIDDEN
        if domain_config(env, algorithm_file(algo)) == CONFIGS.parent / name
    ]
    if algorithm_file(algo).parent.name == "discrete":
        own = [env for env in own if isinstance(gymnasium.make(env).action_space, Discrete)]
        return [*own, "cartpole-novel-v0"][0]
    return [*own, "pendulum-p-v0"][0]


@pytest.mark.parametrize(("algo", "name"), fitting())
def test_every_algorithm_is_built_with_every_config_that_is_for_it_and_acts(algo, name):
    agent, replay, collector, _ = built(algo, [name], env_for(algo, name))
    assert agent.spec.action >= 1
    assert compose([algorithm_file(algo), config_file(name)]).values["Training.steps"] >= 5_000
    assert replay.nbytes > 0
    collector.step()
    if isinstance(agent, Agent):
        agent.acting_copy(1).sync(agent)


@pytest.mark.parametrize("algo", algorithms())
def test_an_algorithm_remembers_if_its_name_says_so(algo):
    training = built(algo, [], env_for(algo, ""))
    remembers = algo.startswith(("r", "drsac", "lstm_", "sb3_r")) and algo != "redq"
    assert (training.agent.policy.memory.state_size > 0) == remembers


def test_a_memoryless_agents_windows_are_as_long_as_its_targets_reach():
    for algo, segment in (("sac", 4), ("rsac", None)):
        values = compose([algorithm_file(algo)], ["n_step = 4"]).values
        assert (values["SAC.n_step"], values["EpisodeReplay.sequence_length"]) == (4, segment)
    with pytest.raises(ConfigError, match="nothing in this run uses n_step"):
        compose([algorithm_file("ppo")], ["n_step = 4"])


def test_keys_say_what_actor_and_critic_read():
    env = "pendulum-var-len-pa-privileged-v0"
    domains.harder(env)
    for algo in ("rsac", "lstm_ppo"):
        for lines, critic in (
            ([], ("observation", "privileged", "previous_action")),
            (["critic_keys = ['observation']"], ("observation",)),
        ):
            lines = ["previous_action = True", *lines]
            agent = build(compose([algorithm_file(algo)], lines), env, seed=0).agent
            assert agent.policy.memory.encoder.keys == ("observation", "previous_action")
            assert agent.critic_memory.encoder.keys == critic
    agent = build(compose([algorithm_file("rsac_s")]), env, seed=0).agent
    assert agent.critic_memory.encoder.keys == ("observation",)


def test_the_templates_are_the_settings_of_the_first_release():
    plain = compose([algorithm_file("sac"), config_file("configs/test/template.gin")]).values
    assert (plain["Training.steps"], plain["EpisodeReplay.batch_size"]) == (100_000, 100)
    name = "configs/test/template_recurrent.gin"
    for algo in ("rdpg", "rtd3", "rsac"):
        values = compose([algorithm_file(algo), config_file(name)]).values
        assert (values["Training.learning_starts"], values["EpisodeReplay.batch_size"]) == (
            10_000,
            10,
        )
        assert values["EpisodeReplay.sequence_length"] is None
        assert (values["LSTM.hidden_size"], values["LSTM.num_layers"]) == (256, 2)


def test_the_domain_config_is_the_one_with_the_longest_fitting_name(tmp_path, monkeypatch):
    monkeypatch.setattr("offpcc.config.catalog.CONFIGS", tmp_path)
    (tmp_path / "domains" / "off_policy").mkdir(parents=True)
    for name in ("pendulum", "pendulum-v", "cartpole"):
        (tmp_path / "domains" / "off_policy" / f"{name}.gin").touch()
    wanted = {
        "pendulum-p-v0": "pendulum",
        "pendulum-v0": "pendulum",  # the version is no part of the name
        "a:pendulum-v-concat10-v0": "pendulum-v",
        "pendulum-var-len-pa-v0": "pendulum",  # words are not cut
        "cartpole10-v0": "cartpole",
        "Pendulum-v1": "pendulum",
        "other-v0": None,
    }
    for env, stem in wanted.items():
        path = domain_config(env, tmp_path / "algorithms" / "off_policy" / "sac.gin")
        assert (path.stem if path else None) == stem


def test_a_family_of_algorithms_has_recipes_of_its_own():
    env, names = "pendulum-p-v0", ("rsac", "lstm_ppo", "a2c")
    recipes = {algo: domain_config(env, algorithm_file(algo)) for algo in names}
    on_policy = RECIPES / "on_policy" / "pendulum.gin"
    assert recipes == {
        "rsac": RECIPES / "off_policy" / "pendulum.gin",
        "lstm_ppo": on_policy,
        "a2c": on_policy,
    }


def test_every_config_opens_with_what_it_is_for():
    for path in CONFIGS.rglob("*.gin"):
        assert path.read_text().startswith("# "), path


@pytest.mark.parametrize("name", ["../domains/pendulum", "defaults", "", "SAC"])
def test_only_what_is_listed_is_an_algorithm(name):
    with pytest.raises(ValueError, match="unknown algorithm"):
        algorithm_file(name)
