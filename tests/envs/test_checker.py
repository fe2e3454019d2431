"""Checks of environments find what is wrong with them, and nothing where nothing is."""

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from offpcc import domains
from offpcc.envs.checker import check_environment


class Honest(gymnasium.Env[Any, Any]):
    """A random walk of at most 20 steps that heeds its seed."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.normal(), 0
        return self.seen(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        self.place += float(action[0]) + self.np_random.normal()
        return self.seen(), 0.0, False, self.steps == 20, {}

    def seen(self) -> Any:
        return np.array([self.place], np.float32)


class Deaf(Honest):
    """Draws its start from elsewhere."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.place = np.random.default_rng().normal()
        return self.seen(), {}


class Remembering(Honest):
    """Every episode begins a little further on than the last."""

    episodes = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.episodes += 1
        self.place += self.episodes
        return self.seen(), {}


class Twin(Honest):
    """All copies share one sum of actions."""

    shared = np.zeros(1, np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.shared[:] = 0
        return super().reset(seed=seed)

    def step(self, action: Any) -> Any:
        self.shared += action
        observation, *rest = super().step(action)
        return observation + self.shared, *rest


class Broken(Honest):
    """Its observations are not of its space."""

    def seen(self) -> Any:
        return np.zeros((2, 2))


class Wordy(Honest):
    """Has words for actions."""

    action_space = spaces.Text(5)


class Raising(Honest):
    """Has no simulator."""

    def __init__(self) -> None:
        raise RuntimeError("there is no such robot")


class Leaving(Honest):
    """Ends the interpreter in a step."""

    def step(self, action: Any) -> Any:
        raise SystemExit(0)


class Endless(Honest):
    """Has no end."""

    def step(self, action: Any) -> Any:
        seen, reward, *_ = super().step(action)
        return seen, reward, False, False, {}


KINDS = (Honest, Deaf, Remembering, Twin, Broken, Wordy, Raising, Leaving, Endless)
WORLDS = {kind.__name__: kind for kind in KINDS}


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    for name, kind in WORLDS.items():
        gymnasium.register(f"check-{name}-v0", entry_point=kind, order_enforce=False)
    yield
    for name in WORLDS:
        del gymnasium.registry[f"check-{name}-v0"]


SPACES = "offpcc serves its spaces"
GYMNASIUM = "gymnasium's check_env passes"
SEED = "reset(seed) repeats an episode, whatever was played before"
COPIES = "two copies do not touch each other"
END = "an episode ends"


@pytest.mark.parametrize(
    ("name", "failed"),
    [
        ("Honest", []),
        ("Deaf", [GYMNASIUM, SEED]),
        ("Remembering", [GYMNASIUM, SEED]),
        ("Twin", [COPIES]),
        ("Broken", [GYMNASIUM, SEED, END]),
        ("Raising", [SPACES, GYMNASIUM, SEED, END]),
        ("Leaving", [GYMNASIUM, SEED, END]),
    ],
)
def test_what_is_wrong_with_a_environment_is_found(name, failed):
    said = check_environment(f"check-{name}-v0")
    assert [*said] == [SPACES, GYMNASIUM, SEED, COPIES, END]
    assert [what for what, verdict in said.items() if verdict.startswith("NO")] == failed
    if END not in failed:
        assert said[END] == "yes; one of random actions after 20 steps"
    if SPACES not in failed:
        assert said[SPACES] == "yes; observation observation (1,); action (1,)"


def test_what_a_environment_that_does_not_repeat_would_break_is_said():
    said = check_environment("check-Remembering-v0")
    assert said[SEED] == "NO: a resumed run will not be exact"
    assert said[COPIES] == "not known, as an episode does not repeat"


def test_warnings_are_told_in_plain_text():
    said = check_environment("check-Honest-v0")
    assert said[GYMNASIUM].startswith("yes, with warnings: WARN: A Box observation space minimum")
    assert "\x1b" not in said[GYMNASIUM]


def test_what_went_wrong_is_said_with_where_and_when():
    said = check_environment("check-Leaving-v0")
    assert said[SEED].startswith(
        "NO: the environment raised SystemExit(0) in step; copy 0, episode 0"
    )
    said = check_environment("check-Raising-v0")
    assert said[SPACES] == (
        "NO: the environment raised RuntimeError('there is no such robot') in constructor; copy 0"
    )


def test_an_episode_that_does_not_end_is_no_fault_and_said():
    said = check_environment("check-Endless-v0")
    assert said[END].startswith("not known: not within 200 steps, and there is no time limit")
    assert check_environment("Pendulum-v1")[END] == "yes, after 200 steps at the latest"


@pytest.mark.parametrize("env", ["pendulum-p-v0", "cartpole-continuous-va-v0"])
def test_our_environments_pass(env):
    assert env in domains.HIDDEN
    for what, verdict in check_environment(env).items():
        assert verdict.startswith("yes"), (what, verdict)


def test_a_environment_of_gymnasium_passes():
    said = check_environment("Pendulum-v1")
    assert not [verdict for verdict in said.values() if not verdict.startswith("yes")]


def test_an_action_space_that_cannot_be_served_is_refused():
    with pytest.raises(ValueError, match=r"Text\(1, 5"):
        check_environment("check-Wordy-v0")
