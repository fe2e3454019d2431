"""Checks a world before training: gymnasium's own check, honest seeding, independent copies."""

import warnings

import numpy as np
from gymnasium.utils.env_checker import check_env

from offpcc.data import Observation
from offpcc.world import World, make_world


def check_world(env: str, steps: int = 200) -> list[str]:
    """One line a check: `yes`, or what is wrong. Raises ValueError for an unknown id."""
    return [
        f"offpcc serves its spaces: {_serves(env)}",
        f"gymnasium's check_env passes: {_checked(env)}",
        f"reset(seed) repeats an episode, whatever was played before: {_repeats(env, steps)}",
        f"two copies do not touch each other: {_independent(env, steps)}",
    ]


def _serves(env: str) -> str:
    spec = make_world(env).spec_of_agent
    keys = ", ".join(f"{key} {field.shape}" for key, field in spec.observation.items())
    return f"yes; observation {keys}; action ({spec.action},)"


def _checked(env: str) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            check_env(make_world(env).unwrapped, skip_render_check=True)
        except Exception as error:  # whatever other people's worlds raise
            return f"NO, {type(error).__name__}: {error}"
    told = "; ".join(str(warning.message) for warning in caught)
    return f"yes, with warnings: {told}" if told else "yes"


def _tape(world: World, seed: int, steps: int) -> list[Observation]:
    """The observations of an episode of fixed random actions."""
    random = np.random.default_rng(seed)
    seen = [world.reset(seed=seed)[0]]
    for _ in range(steps):
        observation, _, terminated, truncated, _ = world.step(
            random.uniform(-1, 1, world.spec_of_agent.action)
        )
        seen.append(observation)
        if terminated or truncated:
            break
    return seen


def _same(one: list[Observation], other: list[Observation]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a[key], b[key]) for a, b in zip(one, other, strict=True) for key in a
    )


def _repeats(env: str, steps: int) -> str:
    world = make_world(env)
    first = _tape(world, 1, steps)
    _tape(world, 2, steps)
    if not _same(first, _tape(world, 1, steps)):
        return "NO; a resumed run will not be exact"
    return "yes" if _same(first, _tape(make_world(env), 1, steps)) else "NO, not in a fresh copy"


def _independent(env: str, steps: int) -> str:
    alone = _tape(make_world(env), 1, steps)
    one, other = make_world(env), make_world(env)
    random = np.random.default_rng(1)
    seen = [one.reset(seed=1)[0]]
    other.reset(seed=2)
    for _ in alone[1:]:
        action = random.uniform(-1, 1, one.spec_of_agent.action)
        seen.append(one.step(action)[0])
        if any(other.step(-action)[2:4]):
            other.reset()
    return "yes" if _same(alone, seen) else "NO"
