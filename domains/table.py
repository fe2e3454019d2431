"""The table of ids: partial observability is a view of one world, and a view is a row."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Task(NamedTuple):
    """A world, `module:Class`, when an episode is truncated, and the world's own settings."""

    world: str
    steps: int
    settings: Mapping[str, Any] = MappingProxyType({})


class View(NamedTuple):
    """One id: what of a task's observation is shown, and so what is hidden.

    The parts apply in this order: the entries at `keep` (None: all), then the previous action,
    then a window of the last `window` frames of these.
    """

    name: str
    task: Task
    hidden: str
    keep: tuple[int, ...] | None = None
    previous_action: bool = False
    window: int = 1

    @property
    def id(self) -> str:
        """The id that gymnasium knows."""
        return f"{self.name}-v0"

    @property
    def description(self) -> str:
        """One line on what is hidden, and on what else is shown in its place."""
        extra = ["the previous action"] if self.previous_action else []
        extra += [f"the last {self.window} frames"] if self.window > 1 else []
        return f"{self.hidden}; shown: {', '.join(extra)}" if extra else self.hidden

    def arguments(self) -> dict[str, Any]:
        """Return what `domains.make` wants to know."""
        return {
            "world": self.task.world,
            "hidden": self.description,
            **self.task.settings,
            "keep": self.keep,
            "previous_action": self.previous_action,
            "window": self.window,
        }


_CARTPOLE = "domains.cartpole_continuous:CartPole"
CARTPOLE = Task(_CARTPOLE, steps=200)
CARTPOLE_LONG = Task(_CARTPOLE, steps=1000)
CARTPOLE_MASS = Task("domains.cartpole_continuous:VariableMass", steps=350)
CARTPOLE_LENGTH = Task("domains.cartpole_swing_up:VariableLength", steps=500)
CARTPOLE_FLIP = Task("domains.cartpole_swing_up:FlipAction", steps=350)
PENDULUM = Task("domains.pendulum:Pendulum", steps=200)
PENDULUM_LENGTH = Task("domains.pendulum:VariableLength", steps=200)
_AND_MASSES = "velocities and masses"
_AND_LENGTH = "velocities and length"
_AND_SIGN = "velocities and the action's sign"

TABLE = (
    View("cartpole-continuous", CARTPOLE, "nothing"),
    View("cartpole-continuous-p", CARTPOLE, "velocities", keep=(0, 2)),
    View("cartpole-continuous-v", CARTPOLE, "positions", keep=(1, 3)),
    View("cartpole-continuous-va", CARTPOLE, "positions", keep=(1, 3), previous_action=True),
    View("cartpole-continuous-long", CARTPOLE_LONG, "nothing"),
    View("cartpole-continuous-long-p", CARTPOLE_LONG, "velocities", keep=(0, 2)),
    View("cartpole-continuous-long-v", CARTPOLE_LONG, "positions", keep=(1, 3)),
    View("cartpole-continuous-long-p-concat5", CARTPOLE_LONG, "velocities", (0, 2), window=5),
    View("cartpole-continuous-long-v-concat10", CARTPOLE_LONG, "positions", (1, 3), window=10),
    View("pendulum", PENDULUM, "nothing"),
    View("pendulum-p", PENDULUM, "velocity", keep=(0, 1)),
    View("pendulum-v", PENDULUM, "angle", keep=(2,)),
    View("pendulum-va", PENDULUM, "angle", keep=(2,), previous_action=True),
    View("pendulum-p-concat5", PENDULUM, "velocity", keep=(0, 1), window=5),
    View("pendulum-v-concat10", PENDULUM, "angle", keep=(2,), window=10),
    View("pendulum-va-concat10", PENDULUM, "angle", (2,), previous_action=True, window=10),
    View("pendulum-var-len-pvl", PENDULUM_LENGTH, "nothing"),
    View("pendulum-var-len-pv", PENDULUM_LENGTH, "length", keep=(0, 1, 2)),
    View("pendulum-var-len-pl", PENDULUM_LENGTH, "velocity", keep=(0, 1, 3)),
    View("pendulum-var-len-pa", PENDULUM_LENGTH, "velocity and length", (0, 1), True),
    View("pendulum-var-len-pa-concat5", PENDULUM_LENGTH, "velocity and length", (0, 1), True, 5),
    View("cartpole-variable-mass-pv", CARTPOLE_MASS, "masses"),
    View("cartpole-variable-mass-p", CARTPOLE_MASS, _AND_MASSES, (0, 2)),
    View("cartpole-variable-mass-p-concat10", CARTPOLE_MASS, _AND_MASSES, (0, 2), window=10),
    View("cartpole-var-len-pvl", CARTPOLE_LENGTH, "nothing"),
    View("cartpole-var-len-pv", CARTPOLE_LENGTH, "length", keep=(0, 1, 2, 3, 4)),
    View("cartpole-var-len-pa", CARTPOLE_LENGTH, _AND_LENGTH, (0, 2, 3), True),
    View("cartpole-var-len-pa-concat5", CARTPOLE_LENGTH, _AND_LENGTH, (0, 2, 3), True, 5),
    View("cartpole-flip-action-pvf", CARTPOLE_FLIP, "nothing"),
    View("cartpole-flip-action-pv", CARTPOLE_FLIP, "the action's sign", keep=(0, 1, 2, 3, 4)),
    View("cartpole-flip-action-pa", CARTPOLE_FLIP, _AND_SIGN, (0, 2, 3), True),
    View("cartpole-flip-action-pa-concat5", CARTPOLE_FLIP, _AND_SIGN, (0, 2, 3), True, 5),
)
