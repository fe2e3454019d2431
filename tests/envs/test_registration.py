"""Environments that are at hand, by ids that make them again."""

import threading
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from toys import Walk

from offpcc.config import catalog
from offpcc.envs.make_env import make_env
from offpcc.envs.registration import id_and_settings, wrapper_reference


class Counter(gymnasium.Env[Any, Any]):
    """Shows how often it was stepped, from a start that its constructor takes."""

    observation_space, action_space = Box(-99, 99, (1,)), Box(-1, 1, (1,))

    def __init__(self, start: float = 0.0) -> None:
        self.at = start

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return np.float32([self.at]), {}

    def step(self, action: Any) -> Any:
        self.at += 1
        return np.float32([self.at]), 0.0, False, False, {}


class Doubled(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Shows twice what there is."""

    def observation(self, observation: Any) -> Any:
        return 2 * observation


@pytest.fixture(autouse=True)
def nothing_stays_registered() -> Iterator[None]:
    before = dict(gymnasium.registry)
    yield
    gymnasium.registry.clear()
    gymnasium.registry.update(before)
    catalog._registered.clear()


def seen_first(env: Any, **settings: Any) -> float:
    """The first number that an environment shows, made by its reference."""
    env_id, own = id_and_settings(env)
    return float(make_env(env_id, **own, **settings).reset()[0]["observation"][0])


def test_an_id_stays_as_it_is() -> None:
    assert id_and_settings("some:Id-v0") == ("some:Id-v0", {})


def test_a_class_that_can_be_imported_is_named_by_its_module() -> None:
    assert id_and_settings(Counter) == ("test_registration:Counter", {})
    assert seen_first(Counter, env_kwargs={"start": 3.0}) == 3


def test_a_class_of_a_function_a_function_and_an_instance_are_made_again() -> None:
    class Local(Counter):
        pass

    assert id_and_settings(Local)[0] == "Local"
    assert seen_first(Local) == 0
    assert id_and_settings(lambda: Counter(4.0))[0] == "environment"
    assert seen_first(lambda: Counter(5.0)) == 5
    given = Doubled(Counter(6.0))
    env_id, own = id_and_settings(given)
    assert (env_id, own) == ("Counter", {})
    given.unwrapped.at = 9  # what becomes of the one that was given changes none of its copies
    one, two = make_env(env_id), make_env(env_id)
    one.reset()
    one.step(np.zeros(1))
    assert two.reset()[0]["observation"] == 12


def test_an_instance_that_an_id_made_is_that_id_with_its_arguments() -> None:
    made = gymnasium.make("Pendulum-v1", g=5.0, max_episode_steps=70)
    settings = {"env_kwargs": {"g": 5.0}, "max_episode_steps": 70}
    assert id_and_settings(made) == ("Pendulum-v1", settings)
    assert make_env("Pendulum-v1", **settings).unwrapped.g == 5
    assert id_and_settings(gymnasium.make("Pendulum-v1")) == ("Pendulum-v1", {})
    wrapped = Doubled(made)  # more went into it than the id
    env_id, own = id_and_settings(wrapped)
    assert env_id == "PendulumEnv" and make_env(env_id, **own).limit == 70


def test_a_class_that_was_defined_again_takes_the_place_of_the_one_before() -> None:
    def define(start: float) -> type:
        class Again(Counter):
            def __init__(self) -> None:
                super().__init__(start)

        return Again

    assert [seen_first(define(start)) for start in (1.0, 2.0)] == [1, 2]


@pytest.mark.parametrize("env", [3, int, None, [Walk]])
def test_what_is_no_environment_is_refused(env) -> None:
    with pytest.raises(TypeError, match="it is an id, a gymnasium environment, its class, or a f"):
        id_and_settings(env)


def test_the_name_of_a_registered_environment_is_not_taken_over() -> None:
    gymnasium.register("Local", "somewhere:else")

    class Local(Counter):
        pass

    with pytest.raises(ValueError, match="gymnasium has another environment 'Local'"):
        id_and_settings(Local)


def test_an_instance_that_cannot_be_copied_is_refused_with_the_way_out() -> None:
    env = Counter()
    env.lock = threading.Lock()
    with pytest.raises(TypeError, match=r"a Counter that cannot be copied .*; pass its class, or"):
        id_and_settings(env)


def test_wrappers_are_named_by_their_module() -> None:
    assert (
        wrapper_reference(Doubled)
        == "test_registration:Doubled"
        == wrapper_reference("test_registration:Doubled")
    )
    made = make_env(*[id_and_settings(Counter)[0]], env_kwargs={"start": 3}, wrappers=2 * [
        "test_registration:Doubled"
    ])  # fmt: skip
    assert made.reset()[0]["observation"] == 12
    with pytest.raises(TypeError, match="which cannot be imported; move it into a module, or pass"):
        wrapper_reference(lambda env: env)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"env_kwargs": {"begin": 1}}, "env_kwargs: its constructor takes no begin"),
        ({"wrappers": ["Doubled"]}, "wrapper Doubled: it is written module:Name"),
        ({"wrappers": ["nowhere:Doubled"]}, "there is no module 'nowhere'"),
        ({"wrappers": ["test_registration:Doble"]}, "has no Doble; did you mean Doubled"),
    ],
)
def test_arguments_and_wrappers_that_do_not_exist_are_refused(settings, wrong) -> None:
    with pytest.raises(ValueError, match=wrong):
        make_env(id_and_settings(Counter)[0], **settings)
