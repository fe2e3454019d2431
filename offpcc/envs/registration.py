"""Registration: an id for an environment that is at hand, by which it can be made again."""

import copy
import pickle
import sys
from collections.abc import Callable
from typing import Any

import gymnasium
from gymnasium.vector.utils import CloudpickleWrapper

from offpcc.config.catalog import bare, check_id, register

Given = str | gymnasium.Env | Callable[..., gymnasium.Env]


def id_and_settings(env: Given) -> tuple[str, dict[str, Any]]:
    """An id for an environment, and settings of `make_env` that belong to it.

    env: an id, which stays as it is; a class, or a function that makes one, which is referred to as
    module:Name where it can be imported; or an environment itself: by the id that made it or, where
    more than that went into it, as a copy of it.

    Raises TypeError for anything else, and ValueError for a name that another environment has.
    """
    if isinstance(env, str):
        return env, {}
    if isinstance(env, gymnasium.Env):
        return _of_instance(env)
    if not callable(env) or (isinstance(env, type) and not issubclass(env, gymnasium.Env)):
        raise TypeError(
            f"env is {env!r}; it is an id, a gymnasium environment, its class, or a function that "
            "makes one"
        )
    name = getattr(env, "__name__", type(env).__name__)
    module = getattr(env, "__module__", "__main__")
    if module != "__main__" and getattr(sys.modules.get(module), name, None) is env:
        return f"{module}:{name}", {}
    name = name if name.isidentifier() else "environment"  # a lambda
    register(name, env)
    return name, {}


def _of_instance(env: gymnasium.Env) -> tuple[str, dict[str, Any]]:
    spec = env.spec
    plain = spec is not None and spec.id in gymnasium.registry and not spec.additional_wrappers
    if spec is not None and plain:
        kwargs = {key: value for key, value in spec.kwargs.items() if key != "render_mode"}
        registered = gymnasium.registry[spec.id]
        settings: dict[str, Any] = {}
        if kwargs != registered.kwargs:
            settings["env_kwargs"] = kwargs
        if spec.max_episode_steps != registered.max_episode_steps:
            settings["max_episode_steps"] = spec.max_episode_steps
        return spec.id, settings
    name = type(env.unwrapped).__name__
    try:
        original = copy.deepcopy(env)
    except Exception as error:  # of its own code, or of what it holds
        raise TypeError(
            f"env is a {name} that cannot be copied ({type(error).__name__}: {error}); pass its "
            "class, or a function that makes it"
        ) from error

    def copied(**arguments: Any) -> gymnasium.Env:
        """A copy; arguments are refused, as it is made already."""
        if arguments:
            raise TypeError(f"unexpected keyword argument '{next(iter(arguments))}'")
        return copy.deepcopy(original)

    register(name, copied, spec.max_episode_steps if spec else None)
    return name, {}


def registration_of(env: str) -> bytes | None:
    """What an id stands for, to be sent to another process; None where a module registers it.

    Raises ValueError for an id that is registered with what cannot be sent.
    """
    check_id(env)
    module, _, name = env.rpartition(":")
    if module:  # it registers the id there, too
        return None
    try:
        # gymnasium's wrapper also sends functions and classes that no module holds.
        known = gymnasium.spec(name)
        return pickle.dumps(CloudpickleWrapper(lambda: known))
    except Exception as error:  # a user's class may raise anything
        raise ValueError(
            f"what it is registered with cannot be sent to another process ({error}); register it "
            f"in a module of yours, then name it module:{name}"
        ) from error


def register_here(env: str, registration: bytes | None) -> None:
    """Registers in this process what `registration_of` gave in another one."""
    if registration and bare(env) not in gymnasium.registry:
        known = pickle.loads(registration).fn()
        gymnasium.registry[known.id] = known


def wrapper_reference(wrapper: str | type) -> str:
    """A wrapper as module:Name. Raises TypeError for one that cannot be imported by that."""
    if isinstance(wrapper, str):
        return wrapper
    module, name = getattr(wrapper, "__module__", ""), getattr(wrapper, "__name__", "")
    if module == "__main__" or getattr(sys.modules.get(module), name, None) is not wrapper:
        raise TypeError(
            f"wrappers has {wrapper!r}, which cannot be imported; move it into a module, or pass a "
            "function as env that makes the wrapped environment"
        )
    return f"{module}:{name}"
