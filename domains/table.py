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
    then a window of the last `window` frames of these, the oldest one first or the newest.
    """

    name: str
    task: Task
    hidden: str
    keep: tuple[int, ...] | None = None
    previous_action: bool = False
    window: int = 1
    newest_first: bool = False

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
            "newest_first": self.newest_first,
        }


_CARTPOLE = "domains.cartpole_continuous:CartPole"
CARTPOLE = Task(_CARTPOLE, steps=200)
CARTPOLE_LONG = Task(_CARTPOLE, steps=1000)
PENDULUM = Task("domains.pendulum:Pendulum", steps=200)
QUADROTOR = Task("domains.quadrotor:Quadrotor", steps=1000)
LINKS = Task("domains.quad_inv_pendulum:QuadInvPendulum", steps=1000)

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
    View("Quadrotor", QUADROTOR, "masses, rotor lag and noise", window=3, newest_first=True),
    View("QuadInvPendulum", LINKS, "nothing"),
)
