"""Checks an environment before training: gymnasium's check, seeding, independent copies."""

import re
import warnings
from collections.abc import Callable
from contextlib import closing

import numpy as np
from gymnasium.utils.env_checker import check_env

from offpcc.config.limits import MAX_EVALUATED
from offpcc.data import Observation
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.make_env import make_env
from offpcc.errors import EnvironmentFault

COLOUR = re.compile(r"\x1b\[\d*m")  # which gymnasium paints its warnings with
STEPS = 200  # that an episode is followed for


def check_environment(env_id: str) -> dict[str, str]:
    """What each check says: begins with `yes`, with `NO` and what is wrong, or `not known`.

    Raises ValueError for an unknown id, and for spaces that cannot be served.
    """
    repeats = _verdict(_repeats, env_id)
    unknown = "not known, as an episode does not repeat"
    return {
        "offpcc serves its spaces": _verdict(_serves, env_id),
        "gymnasium's check_env passes": _verdict(_checked, env_id),
        "reset(seed) repeats an episode, whatever was played before": repeats,
        "two copies do not touch each other": _verdict(_independent, env_id)
        if repeats == "yes"
        else unknown,
        "an episode ends": _verdict(_ends, env_id),
    }


def _verdict(check: Callable[[str], str], env_id: str) -> str:
    """What a check says, or what went wrong in it."""
    try:
        return check(env_id)
    except EnvironmentFault as fault:
        return f"NO: {fault}"


def _serves(env_id: str) -> str:
    with closing(make_env(env_id)) as env:
        spec = env.spec_of_agent
    keys = ", ".join(f"{key} {field.shape}" for key, field in spec.observation.items())
    return f"yes; observation {keys}; action ({spec.action},)"


def _checked(env_id: str) -> str:
    with warnings.catch_warnings(record=True) as caught, closing(make_env(env_id)) as env:
        warnings.simplefilter("always")
        try:
            with env.guard.step:
                check_env(env.unwrapped, skip_render_check=True)
        except EnvironmentFault as fault:
            error = fault.__cause__
            said = f"{type(error).__name__}: {error}"
            if env.spec_of_agent.is_masked:
                return f"not known, as it draws choices whatever the mask says; {said}"
            return f"NO, {said}"
    messages = "; ".join(COLOUR.sub("", str(warning.message)) for warning in caught)
    return f"yes, with warnings: {messages}" if messages else "yes"


def _repeats(env_id: str) -> str:
    with closing(make_env(env_id)) as env, closing(make_env(env_id, copy=1)) as fresh:
        first = _episode(env, 1)
        _episode(env, 2)
        if not _same(first, _episode(env, 1)):
            return "NO: a resumed run will not be exact"
        return "yes" if _same(first, _episode(fresh, 1)) else "NO, not in a fresh copy"


def _independent(env_id: str) -> str:
    with closing(make_env(env_id)) as env, closing(make_env(env_id, copy=1)) as other:
        alone = _episode(env, 1)
        return "yes" if _same(alone, _episode(env, 1, beside=other)) else "NO"


def _ends(env_id: str) -> str:
    with closing(make_env(env_id)) as env:
        if env.limit is not None:
            return f"yes, after {env.limit} steps at the latest"
        seen = len(_episode(env, 1)) - 1
    if seen < STEPS:
        return f"yes; one of random actions after {seen} steps"
    return (
        f"not known: not within {STEPS} steps, and there is no time limit; evaluations cut an "
        f"episode after {MAX_EVALUATED:_} steps, or where make_env.max_episode_steps says"
    )


def _episode(env: EnvAdapter, seed: int, beside: EnvAdapter | None = None) -> list[Observation]:
    """The observations of a random episode, while another environment is stepped beside it."""
    random, others = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    seen, adapter = [env.reset(seed=seed)[0]], env.space_adapter
    aside = beside.reset(seed=seed + 1)[0] if beside else {}
    for _ in range(STEPS):
        action = adapter.uniform(random, seen[-1])
        if beside:
            outcome = beside.play(adapter.uniform(others, aside))
            aside = beside.reset()[0] if outcome.ended else outcome.seen
        outcome = env.play(action)
        seen.append(outcome.seen)
        if outcome.ended:
            break
    return seen


def _same(one: list[Observation], other: list[Observation]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a[key], b[key]) for a, b in zip(one, other, strict=True) for key in a
    )
