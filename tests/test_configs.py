"""Every config of the project comes to an agent that can be built."""

import pytest

import domains
from offpcc.bindings import compose
from offpcc.build import build
from offpcc.catalog import CONFIGS, algorithm_file, algorithms, config_file, configs, domain_config

SMALL = ["capacity = 1_000", "device = 'cpu'", "evaluation_episodes = 1"]


def world_for(name: str) -> str:
    """A world that a config is for: its domain's first, or the pendulum."""
    fitting = [env for env in domains.HIDDEN if domain_config(env) == CONFIGS.parent / name]
    return [*fitting, "pendulum-p-v0"][0]


@pytest.mark.parametrize("name", [None, *configs()])
@pytest.mark.parametrize("algo", algorithms())
def test_every_algorithm_is_built_with_every_config_and_acts(algo, name):
    files = [algorithm_file(algo), *([config_file(name)] if name else [])]
    training = build(compose(files, SMALL), world_for(name or ""), seed=1)
    assert training.agent.spec.action >= 1
    assert training.steps >= 5_000
    assert training.replay.nbytes > 0
    training.collector.step()
    training.collector.sync()


@pytest.mark.parametrize("algo", algorithms())
def test_an_algorithm_remembers_if_its_name_begins_with_r(algo):
    training = build(compose([algorithm_file(algo)], SMALL), "pendulum-p-v0", seed=1)
    assert (training.agent.state_size > 0) == algo.startswith("r")


def test_the_templates_are_the_settings_of_the_first_release():
    plain = compose([algorithm_file("sac"), config_file("configs/test/template.gin")]).values
    assert (plain["Training.steps"], plain["EpisodeReplay.batch"]) == (100_000, 100)
    name = "configs/test/template_recurrent.gin"
    for algo in ("rdpg", "rtd3", "rsac"):
        values = compose([algorithm_file(algo), config_file(name)]).values
        assert (values["Training.warm_up"], values["EpisodeReplay.batch"]) == (10_000, 10)
        assert values["EpisodeReplay.segment"] is None
        assert (values["LSTM.width"], values["LSTM.layers"]) == (256, 2)


def test_the_domain_config_is_the_one_with_the_longest_fitting_name(tmp_path, monkeypatch):
    monkeypatch.setattr("offpcc.catalog.CONFIGS", tmp_path)
    (tmp_path / "domains").mkdir()
    for name in ("pendulum", "pendulum-v", "cartpole"):
        (tmp_path / "domains" / f"{name}.gin").touch()
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
        path = domain_config(env)
        assert (path.stem if path else None) == stem


def test_every_config_opens_with_what_it_is_for():
    for path in CONFIGS.rglob("*.gin"):
        assert path.read_text().startswith("# "), path


@pytest.mark.parametrize("name", ["../domains/pendulum", "defaults", "", "SAC"])
def test_only_what_is_listed_is_an_algorithm(name):
    with pytest.raises(ValueError, match="unknown algorithm"):
        algorithm_file(name)
