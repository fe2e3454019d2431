"""Synonyms: the names of other libraries, and of earlier versions, lead to the names here."""

import pytest

from offpcc.config.bindings import compose, read
from offpcc.config.catalog import CONFIGS, algorithm_file
from offpcc.config.registry import REGISTRY, bindable
from offpcc.config.synonyms import ELSEWHERE
from offpcc.errors import ConfigError


def test_every_synonym_leads_to_a_name_that_there_is() -> None:
    macros = {b.key for file in CONFIGS.glob("*.gin") for b in read(file) if not b.argument}
    arguments = {argument for name in REGISTRY for argument in bindable(name)}
    assert not ELSEWHERE.keys() - macros - arguments - REGISTRY.keys()


@pytest.mark.parametrize(
    ("algorithm", "line", "ours"),
    [
        ("sac", "lr = 0.1", "learning_rate"),
        ("sac", "gamma = 0.9", "discount"),
        ("sac", "net_arch = (3,)", "hidden_sizes"),
        ("sac", "SAC.lr = 0.1", "learning_rate"),
        ("sac", "n_steps = 3", "n_step"),
        ("ppo", "n_steps = 3", "rollout_steps"),
        ("sac", "ent_coef = 0.1", "temperature"),
        ("ppo", "entropy_coef = 0.1", "ent_coef"),
        ("rsac", "batch_size = 3", "recurrent_batch_size"),
        ("sac", "rate = 0.1", "learning_rate"),
        ("sac", "Recipe.device = 'cpu'", "TrainingConfig"),
    ],
)
def test_a_name_from_elsewhere_is_answered_with_ours(algorithm, line, ours) -> None:
    with pytest.raises(ConfigError, match=f"; here it is called {ours}$"):
        compose([algorithm_file(algorithm)], [line])


def test_what_an_algorithm_does_not_have_is_said() -> None:
    with pytest.raises(ConfigError, match="on-policy algorithms and baselines compute in fp32"):
        compose([algorithm_file("ppo")], ["precision = 'auto'"])
