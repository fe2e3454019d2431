"""The table of ids: partial observability is a view of one world, and a view is a row."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Task(NamedTuple):
    """A world, `module:Class`, when an episode is truncated, and the world's own settings.

    A world that is not `ours` is any environment of flat observations, or of pictures.
    """

    world: str
    steps: int
    settings: Mapping[str, Any] = MappingProxyType({})
    ours: bool = True


class View(NamedTuple):
    """One id: what of a task's observation is shown, and so what is hidden.

    The parts apply in this order: the entries at `zero` are zero, those at `first_look` after the
    first observation; the entries at `keep` (None: all) stay; noise of a deviation, dropout with a
    probability, a delay in steps; then the previous action, then a window of the last `window`
    frames of these, the oldest first or the newest. Each action is taken `repeat` times.
    """

    name: str
    task: Task
    hidden: str
    keep: tuple[int, ...] | None = None
    previous_action: bool = False
    window: int = 1
    zero: tuple[int, ...] = ()
    first_look: tuple[int, ...] = ()
    noise: float = 0.0
    dropout: float = 0.0
    delay: int = 0
    repeat: int = 1
    newest_first: bool = False

    @property
    def id(self) -> str:
        """The id that gymnasium knows."""
        return f"{self.name}-v0"

    @property
    def description(self) -> str:
        """One line on what is hidden or disturbed, and on what else is shown in its place."""
        hidden = [self.hidden]
        hidden += [f"noise of {self.noise:g}"] if self.noise else []
        hidden += [f"dropout of {self.dropout:g}"] if self.dropout else []
        hidden += [f"delay of {self.delay} steps"] if self.delay else []
        hidden += [f"each action {self.repeat} times"] if self.repeat > 1 else []
        extra = ["the previous action"] if self.previous_action else []
        extra += [f"the last {self.window} frames"] if self.window > 1 else []
        line = ", ".join(hidden)
        return f"{line}; shown: {', '.join(extra)}" if extra else line

    def arguments(self) -> dict[str, Any]:
        """Return what `domains.make` wants to know."""
        shown = self._asdict()
        del shown["name"], shown["task"]
        world = {"world": self.task.world, "settings": dict(self.task.settings)}
        return world | shown | {"hidden": self.description}

    def harder(self, suffix: str) -> "View":
        """Return this row with a suffix, such as -noise0.1 or -dropout0.2-delay3, to its name.

        With -repeat<k> an episode ends after as many steps of the world as before, rounded up.
        Raises ValueError for another suffix than -noise, -dropout, -delay and -repeat, for a size
        of zero, and for what this row has already.
        """
        if not re.fullmatch(r"(-(noise|dropout)\d+(\.\d+)?|-(delay|repeat)\d+)+", suffix):
            raise ValueError(f"{suffix!r} is none of -noise<x>, -dropout<x>, -delay<k>, -repeat<k>")
        sizes: dict[str, Any] = {}
        for what, size in re.findall(r"-([a-z]+)([\d.]+)", suffix):
            if what in sizes or getattr(self, what) != self._field_defaults[what]:
                raise ValueError(f"{self.name}{suffix} has two sizes of {what}")
            sizes[what] = float(size) if what in ("noise", "dropout") else int(size)
        if not all(sizes.values()):
            raise ValueError(f"{suffix!r} has a size of zero; leave that suffix out")
        row = self._replace(name=self.name + suffix, **sizes)
        steps = -(-self.task.steps * self.repeat // row.repeat)
        return row._replace(task=self.task._replace(steps=steps))


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
WATER_MAZE = Task("domains.water_maze:WaterMaze", steps=200)
WATER_MAZE_DENSE = Task("domains.water_maze:DenseWaterMaze", steps=200)
WATER_MAZE_SIMPLE = Task("domains.water_maze:SimpleWaterMaze", steps=200)
CAR = Task("domains.car:Car", steps=160)
CAR_EPISODIC = Task("domains.car:EpisodicCar", steps=160)
CAR_TOP = Task("domains.car_top:CarTop", steps=10)
CAR_TOP_NARROW = Task("domains.car_top:CarTopNarrow", steps=10)
CAR_TOP_RELATIVE = Task("domains.car_top:CarTopRelative", steps=8)
ANT_REACHER_TOP = Task("domains.ant_reacher_top:AntReacherTop", steps=20)
QUADROTOR = Task("domains.quadrotor:Quadrotor", steps=1000)
LINKS = Task("domains.quad_inv_pendulum:QuadInvPendulum", steps=1000)

_MAZE = "velocity, platform"
_SIDE = "heaven's side, away from the priest"
_CONTROL = "gymnasium.envs.classic_control"
GYM_CARTPOLE = Task(f"{_CONTROL}:CartPoleEnv", steps=500, ours=False)
GYM_MOUNTAINCAR = Task(f"{_CONTROL}:Continuous_MountainCarEnv", steps=999, ours=False)
GYM_PENDULUM = Task(f"{_CONTROL}:PendulumEnv", steps=200, ours=False)
REACHER = Task("domains.reacher:Reacher", steps=50)
BANDIT = Task("domains.bernoulli_bandit:BernoulliBandit", steps=100)


def _t_maze(length: int, kind: str = "TMaze") -> Task:
    return Task(f"domains.t_maze:{kind}", length + 1, MappingProxyType({"length": length}))


def _suite(domain: str, task: str, skip: int = 5, kind: str = "ControlSuite") -> Task:
    settings = MappingProxyType({"domain": domain, "task": task, "skip": skip})
    return Task(f"domains.control_suite:{kind}", 1000 // skip, settings, ours=False)


def _suite_views(name: str, task: Task, positions: int, velocities: int) -> tuple[View, ...]:
    p, v = tuple(range(positions)), tuple(range(positions, positions + velocities))
    return (
        View(f"dmc-{name}", task, "nothing"),
        View(f"dmc-{name}-p", task, "velocities", p),
        View(f"dmc-{name}-va", task, "positions", v, previous_action=True),
        View(f"dmc-{name}-p-concat5", task, "velocities", p, window=5),
        View(f"dmc-{name}-va-concat10", task, "positions", v, previous_action=True, window=10),
    )


def _bumps(kind: str = "PushRight", **settings: Any) -> Task:
    world = f"domains.bullet.bump_tasks:{kind}"
    return Task(world, 50, MappingProxyType(settings), ours=False)


def _top_plate(hidden: str) -> Task:
    settings = MappingProxyType({"hidden": hidden})
    return Task("domains.bullet.top_plate:TopPlate", 50, settings, ours=False)


DMC_BALANCE_IMG = _suite("cartpole", "balance", 2, "Pixels")
DMC_WALK_IMG = _suite("walker", "walk", 2, "Pixels")

_PLATES = "the number of plates"
_CUE = "the cue after one look"
_TARGET = "the target after one look"

_ROWS = (
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
    View("water-maze-mdp", WATER_MAZE, "nothing"),
    View("water-maze-pomdp", WATER_MAZE, "platform", keep=(0, 1, 2)),
    View("water-maze-dense-mdp", WATER_MAZE_DENSE, "nothing"),
    View("water-maze-dense-pomdp", WATER_MAZE_DENSE, "platform", keep=(0, 1, 2)),
    View("water-maze-simple-mdp", WATER_MAZE_SIMPLE, "velocity"),
    View("water-maze-simple-pomdp", WATER_MAZE_SIMPLE, _MAZE, keep=(0, 1, 2)),
    # Published under the name of an MDP; its frames are those of the POMDP.
    View("water-maze-simple-mdp-concat10", WATER_MAZE_SIMPLE, _MAZE, (0, 1, 2), window=10),
    View("car", CAR, _SIDE),
    View("car-concat20", CAR, _SIDE, window=20),
    View("car-episodic", CAR_EPISODIC, _SIDE),
    View("car-episodic-concat20", CAR_EPISODIC, _SIDE, window=20),
    View("car-top", CAR_TOP, _SIDE),
    View("car-top-narrow", CAR_TOP_NARROW, _SIDE),
    View("car-top-relative", CAR_TOP_RELATIVE, _SIDE),
    View("ant-reacher-top", ANT_REACHER_TOP, _SIDE),
    View("cartpole-novel", GYM_CARTPOLE, "velocities", zero=(1, 3)),
    View("pendulum-novel", GYM_PENDULUM, "velocity", zero=(2,)),
    View("mountaincar-novel", GYM_MOUNTAINCAR, "velocity", zero=(1,)),
    View("reacher-mdp", REACHER, "nothing"),
    View("reacher-pomdp", REACHER, _TARGET, first_look=(4, 5, 8, 9, 10)),
    View(
        "reacher-pomdp-p",
        REACHER,
        f"velocities; {_TARGET}",
        keep=(0, 1, 2, 3, 4, 5, 8, 9, 10),
        first_look=(4, 5, 8, 9, 10),
    ),
    View("bernoulli-bandit", BANDIT, "the winning arm"),
    View("t-maze10", _t_maze(10), _CUE, first_look=(0,)),
    View("t-maze50", _t_maze(50), _CUE, first_look=(0,)),
    View("t-maze100", _t_maze(100), _CUE, first_look=(0,)),
    View("t-maze10-discrete", _t_maze(10, "DiscreteTMaze"), _CUE, first_look=(0,)),
    View("t-maze50-discrete", _t_maze(50, "DiscreteTMaze"), _CUE, first_look=(0,)),
    View("Quadrotor", QUADROTOR, "masses, rotor lag and noise", window=3, newest_first=True),
    View("QuadInvPendulum", LINKS, "nothing"),
    *_suite_views("cartpole-balance", _suite("cartpole", "balance"), 3, 2),
    *_suite_views("cartpole-swingup", _suite("cartpole", "swingup"), 3, 2),
    *_suite_views("cart2pole", _suite("cartpole", "two_poles"), 5, 3),
    *_suite_views("cart3pole", _suite("cartpole", "three_poles"), 7, 4),
    *_suite_views("pendulum-swingup", _suite("pendulum", "swingup"), 2, 1),
    *_suite_views("acrobot", _suite("acrobot", "swingup"), 4, 2),
    View("dmc-cartpole-balance-img-concat3", DMC_BALANCE_IMG, "all but pictures", window=3),
    View("dmc-walker-walk-img-concat3", DMC_WALK_IMG, "all but pictures", window=3),
    View("pbc-bumps-normal-pomdp", _bumps(), "the bumps"),
    View("pbc-bumps-normal-pomdp-punish", _bumps(punish=True), "the bumps"),
    View("pbc-bumps-normal-pomdp-real", _bumps(placement="real", punish=True), "the bumps"),
    View("pbc-bumps-normal-test", _bumps(placement="test", punish=True), "the bumps"),
    View("pbc-bumps-minmax-pomdp", _bumps(placement="minmax"), "the bumps"),
    View("pbc-bump-target-pomdp", _bumps("PushToTarget"), "the bump"),
    View("pbc-bumps-diff", _bumps("PushLarger"), "which bumps were touched"),
    View("top-plate", _top_plate("nothing"), "nothing"),
    View("top-plate-pomdp", _top_plate(_PLATES), _PLATES, keep=(0, 2)),
)
_HARDER = (
    ("pendulum", "-noise0.1"),
    ("pendulum-p", "-dropout0.2"),
    ("cartpole-continuous", "-delay2"),
    ("pendulum", "-repeat4"),
    ("mountaincar-novel", "-noise0.01-delay2"),
)
_NAMED = {row.name: row for row in _ROWS}

TABLE = _ROWS + tuple(_NAMED[name].harder(suffix) for name, suffix in _HARDER)
