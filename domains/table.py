"""The table of ids: partial observability is a view of one environment, and a view is a row."""

from types import MappingProxyType
from typing import Any

from .task import Task, TaskView

_CARTPOLE = "offpcc.domains.cartpole_continuous:CartPole"
CARTPOLE = Task(_CARTPOLE, steps=200)
CARTPOLE_LONG = Task(_CARTPOLE, steps=1000)
CARTPOLE_MASS = Task("offpcc.domains.cartpole_continuous:VariableMass", steps=350)
CARTPOLE_LENGTH = Task("offpcc.domains.cartpole_swing_up:VariableLength", steps=500)
CARTPOLE_FLIP = Task("offpcc.domains.cartpole_swing_up:FlipAction", steps=350)
PENDULUM = Task("offpcc.domains.pendulum:Pendulum", steps=200)
PENDULUM_LENGTH = Task("offpcc.domains.pendulum:VariableLength", steps=200)
PENDULUM_PIXELS = Task("offpcc.domains.pendulum_pixels:PixelPendulum", steps=200)
_AND_MASSES = "velocities and masses"
_AND_LENGTH = "velocities and length"
_AND_SIGN = "velocities and the action's sign"
WATER_MAZE = Task("offpcc.domains.water_maze:WaterMaze", steps=200)
WATER_MAZE_DENSE = Task("offpcc.domains.water_maze:DenseWaterMaze", steps=200)
WATER_MAZE_SIMPLE = Task("offpcc.domains.water_maze:SimpleWaterMaze", steps=200)
CAR = Task("offpcc.domains.car:Car", steps=160)
CAR_EPISODIC = Task("offpcc.domains.car:EpisodicCar", steps=160)
CAR_TOP = Task("offpcc.domains.car_top:CarTop", steps=10)
CAR_TOP_NARROW = Task("offpcc.domains.car_top:CarTopNarrow", steps=10)
CAR_TOP_RELATIVE = Task("offpcc.domains.car_top:CarTopRelative", steps=8)
ANT_REACHER_TOP = Task("offpcc.domains.ant_reacher_top:AntReacherTop", steps=20)
BUMP_TOP = Task("offpcc.domains.gripper_tasks:BumpTop", steps=20)
BOX_TOP = Task("offpcc.domains.gripper_tasks:BoxTop", steps=20)
BUMP_MDP = Task("offpcc.domains.gripper_tasks:BumpMdp", steps=50)
UR5_TOP = Task("offpcc.domains.ur5_top:UR5Top", steps=200)
UR5_MDP_TOP = Task("offpcc.domains.ur5_top:UR5MdpTop", steps=20)
QUADROTOR = Task("offpcc.domains.quadrotor:Quadrotor", steps=1000)
LINKS = Task("offpcc.domains.quad_inv_pendulum:QuadInvPendulum", steps=1000)
_MAZE = "velocity, platform"
_SIDE = "heaven's side, away from the priest"
_CONTROL = "gymnasium.envs.classic_control"
GYM_CARTPOLE = Task(f"{_CONTROL}:CartPoleEnv", steps=500, ours=False)
GYM_MOUNTAINCAR = Task(f"{_CONTROL}:Continuous_MountainCarEnv", steps=999, ours=False)
GYM_PENDULUM = Task(f"{_CONTROL}:PendulumEnv", steps=200, ours=False)
REACHER = Task("offpcc.domains.reacher:Reacher", steps=50)
BANDIT = Task("offpcc.domains.bernoulli_bandit:BernoulliBandit", steps=100)


def _t_maze(length: int, kind: str = "TMaze") -> Task:
    return Task(f"offpcc.domains.t_maze:{kind}", length + 1, MappingProxyType({"length": length}))


def _suite(domain: str, task: str, skip: int = 5, kind: str = "ControlSuite") -> Task:
    settings = MappingProxyType({"domain": domain, "task": task, "skip": skip})
    return Task(f"offpcc.domains.control_suite:{kind}", 1000 // skip, settings, ours=False)


def _suite_views(name: str, task: Task, positions: int, velocities: int) -> tuple[TaskView, ...]:
    p, v = tuple(range(positions)), tuple(range(positions, positions + velocities))
    return (
        TaskView(f"dmc-{name}", task, "nothing"),
        TaskView(f"dmc-{name}-p", task, "velocities", p),
        TaskView(f"dmc-{name}-va", task, "positions", v, previous_action=True),
        TaskView(f"dmc-{name}-p-concat5", task, "velocities", p, window=5),
        TaskView(f"dmc-{name}-va-concat10", task, "positions", v, previous_action=True, window=10),
    )


def _robot_views(name: str, robot: str, joints: int, feet: int) -> tuple[TaskView, ...]:
    settings = MappingProxyType({"robot": robot})
    task = Task("offpcc.domains.bullet.locomotion:Locomotion", 1000, settings, ours=False)
    end = 8 + 2 * joints  # of the joints' positions and speeds, in turns
    p = (0, 1, 2, 6, 7, *range(8, end, 2), *range(end, end + feet))
    v = (3, 4, 5, *range(9, end, 2))
    return (
        TaskView(name, task, "nothing"),
        TaskView(f"{name}-p", task, "velocities", p),
        TaskView(f"{name}-v", task, "positions and contacts", v),
    )


def _bumps(kind: str = "PushRight", **settings: Any) -> Task:
    entry_point = f"offpcc.domains.bullet.bump_tasks:{kind}"
    return Task(entry_point, 50, MappingProxyType(settings), ours=False)


TOP_PLATE = Task("offpcc.domains.bullet.top_plate:TopPlate", steps=50, ours=False)
DMC_BALANCE_IMG = _suite("cartpole", "balance", 2, "Pixels")
DMC_WALK_IMG = _suite("walker", "walk", 2, "Pixels")

_CUE = "the cue after one look"
_TARGET = "the target after one look"

_ROWS = (
    TaskView("cartpole-continuous", CARTPOLE, "nothing"),
    TaskView("cartpole-continuous-p", CARTPOLE, "velocities", keep=(0, 2)),
    TaskView("cartpole-continuous-v", CARTPOLE, "positions", keep=(1, 3)),
    TaskView("cartpole-continuous-va", CARTPOLE, "positions", keep=(1, 3), previous_action=True),
    TaskView("cartpole-continuous-long", CARTPOLE_LONG, "nothing"),
    TaskView("cartpole-continuous-long-p", CARTPOLE_LONG, "velocities", keep=(0, 2)),
    TaskView("cartpole-continuous-long-v", CARTPOLE_LONG, "positions", keep=(1, 3)),
    TaskView("cartpole-continuous-long-p-concat5", CARTPOLE_LONG, "velocities", (0, 2), window=5),
    TaskView("cartpole-continuous-long-v-concat10", CARTPOLE_LONG, "positions", (1, 3), window=10),
    TaskView("pendulum", PENDULUM, "nothing"),
    TaskView("pendulum-p", PENDULUM, "velocity", keep=(0, 1)),
    TaskView("pendulum-v", PENDULUM, "angle", keep=(2,)),
    TaskView("pendulum-va", PENDULUM, "angle", keep=(2,), previous_action=True),
    TaskView("pendulum-p-concat5", PENDULUM, "velocity", keep=(0, 1), window=5),
    TaskView("pendulum-v-concat10", PENDULUM, "angle", keep=(2,), window=10),
    TaskView("pendulum-va-concat10", PENDULUM, "angle", (2,), previous_action=True, window=10),
    TaskView("pendulum-img", PENDULUM_PIXELS, "velocity; seen as a picture"),
    TaskView("pendulum-img-concat3", PENDULUM_PIXELS, "all but pictures", window=3),
    TaskView("pendulum-var-len-pvl", PENDULUM_LENGTH, "nothing"),
    TaskView("pendulum-var-len-pv", PENDULUM_LENGTH, "length", keep=(0, 1, 2)),
    TaskView("pendulum-var-len-pl", PENDULUM_LENGTH, "velocity", keep=(0, 1, 3)),
    TaskView("pendulum-var-len-pa", PENDULUM_LENGTH, "velocity and length", (0, 1), True),
    TaskView(
        "pendulum-var-len-pa-concat5", PENDULUM_LENGTH, "velocity and length", (0, 1), True, 5
    ),
    TaskView("cartpole-variable-mass-pv", CARTPOLE_MASS, "masses"),
    TaskView("cartpole-variable-mass-p", CARTPOLE_MASS, _AND_MASSES, (0, 2)),
    TaskView("cartpole-variable-mass-p-concat10", CARTPOLE_MASS, _AND_MASSES, (0, 2), window=10),
    TaskView("cartpole-var-len-pvl", CARTPOLE_LENGTH, "nothing"),
    TaskView("cartpole-var-len-pv", CARTPOLE_LENGTH, "length", keep=(0, 1, 2, 3, 4)),
    TaskView("cartpole-var-len-pa", CARTPOLE_LENGTH, _AND_LENGTH, (0, 2, 3), True),
    TaskView("cartpole-var-len-pa-concat5", CARTPOLE_LENGTH, _AND_LENGTH, (0, 2, 3), True, 5),
    TaskView("cartpole-flip-action-pvf", CARTPOLE_FLIP, "nothing"),
    TaskView("cartpole-flip-action-pv", CARTPOLE_FLIP, "the action's sign", keep=(0, 1, 2, 3, 4)),
    TaskView("cartpole-flip-action-pa", CARTPOLE_FLIP, _AND_SIGN, (0, 2, 3), True),
    TaskView("cartpole-flip-action-pa-concat5", CARTPOLE_FLIP, _AND_SIGN, (0, 2, 3), True, 5),
    TaskView("water-maze-mdp", WATER_MAZE, "nothing"),
    TaskView("water-maze-pomdp", WATER_MAZE, "platform", keep=(0, 1, 2)),
    TaskView("water-maze-dense-mdp", WATER_MAZE_DENSE, "nothing"),
    TaskView("water-maze-dense-pomdp", WATER_MAZE_DENSE, "platform", keep=(0, 1, 2)),
    TaskView("water-maze-simple-mdp", WATER_MAZE_SIMPLE, "velocity"),
    TaskView("water-maze-simple-pomdp", WATER_MAZE_SIMPLE, _MAZE, keep=(0, 1, 2)),
    # Published under the name of an MDP; its frames are those of the POMDP.
    TaskView("water-maze-simple-mdp-concat10", WATER_MAZE_SIMPLE, _MAZE, (0, 1, 2), window=10),
    TaskView("car", CAR, _SIDE),
    TaskView("car-concat20", CAR, _SIDE, window=20),
    TaskView("car-episodic", CAR_EPISODIC, _SIDE),
    TaskView("car-episodic-concat20", CAR_EPISODIC, _SIDE, window=20),
    TaskView("car-top", CAR_TOP, _SIDE),
    TaskView("car-top-narrow", CAR_TOP_NARROW, _SIDE),
    TaskView("car-top-relative", CAR_TOP_RELATIVE, _SIDE),
    TaskView("ant-reacher-top", ANT_REACHER_TOP, _SIDE),
    TaskView("bump-top", BUMP_TOP, "the bump's size"),
    TaskView("box-top", BOX_TOP, "whether there is a box"),
    TaskView("pbc-bump-mdp", BUMP_MDP, "the bump's place"),
    TaskView("ur5-top", UR5_TOP, "the target, away from the switch"),
    TaskView("ur5-mdp-top", UR5_MDP_TOP, "the target, before the first action"),
    TaskView("cartpole-novel", GYM_CARTPOLE, "velocities", zero=(1, 3)),
    TaskView("pendulum-novel", GYM_PENDULUM, "velocity", zero=(2,)),
    TaskView("mountaincar-novel", GYM_MOUNTAINCAR, "velocity", zero=(1,)),
    TaskView("reacher-mdp", REACHER, "nothing"),
    TaskView("reacher-pomdp", REACHER, _TARGET, first_look=(4, 5, 8, 9, 10)),
    TaskView(
        "reacher-pomdp-p",
        REACHER,
        f"velocities; {_TARGET}",
        keep=(0, 1, 2, 3, 4, 5, 8, 9, 10),
        first_look=(4, 5, 8, 9, 10),
    ),
    TaskView("bernoulli-bandit", BANDIT, "the winning arm"),
    TaskView("t-maze10", _t_maze(10), _CUE, first_look=(0,)),
    TaskView("t-maze50", _t_maze(50), _CUE, first_look=(0,)),
    TaskView("t-maze100", _t_maze(100), _CUE, first_look=(0,)),
    TaskView("t-maze10-discrete", _t_maze(10, "DiscreteTMaze"), _CUE, first_look=(0,)),
    TaskView("t-maze50-discrete", _t_maze(50, "DiscreteTMaze"), _CUE, first_look=(0,)),
    TaskView("Quadrotor", QUADROTOR, "masses, rotor lag and noise", window=3, newest_first=True),
    TaskView("QuadInvPendulum", LINKS, "nothing"),
    *_suite_views("cartpole-balance", _suite("cartpole", "balance"), 3, 2),
    *_suite_views("cartpole-swingup", _suite("cartpole", "swingup"), 3, 2),
    *_suite_views("cart2pole", _suite("cartpole", "two_poles"), 5, 3),
    *_suite_views("cart3pole", _suite("cartpole", "three_poles"), 7, 4),
    *_suite_views("pendulum-swingup", _suite("pendulum", "swingup"), 2, 1),
    *_suite_views("acrobot", _suite("acrobot", "swingup"), 4, 2),
    *_robot_views("hopper", "HopperBulletEnv", joints=3, feet=1),
    *_robot_views("walker", "Walker2DBulletEnv", joints=6, feet=2),
    *_robot_views("halfcheetah", "HalfCheetahBulletEnv", joints=6, feet=6),
    *_robot_views("ant", "AntBulletEnv", joints=8, feet=4),
    TaskView("dmc-cartpole-balance-img-concat3", DMC_BALANCE_IMG, "all but pictures", window=3),
    TaskView("dmc-walker-walk-img-concat3", DMC_WALK_IMG, "all but pictures", window=3),
    TaskView("pbc-bumps-normal-pomdp", _bumps(), "the bumps"),
    TaskView("pbc-bumps-normal-pomdp-punish", _bumps(punish=True), "the bumps"),
    TaskView("pbc-bumps-normal-pomdp-real", _bumps(placement="real", punish=True), "the bumps"),
    TaskView("pbc-bumps-normal-test", _bumps(placement="test", punish=True), "the bumps"),
    TaskView("pbc-bumps-minmax-pomdp", _bumps(placement="minmax"), "the bumps"),
    TaskView("pbc-bump-target-pomdp", _bumps("PushToTarget"), "the bump"),
    TaskView("pbc-bumps-diff", _bumps("PushLarger"), "which bumps were touched"),
    TaskView("top-plate", TOP_PLATE, "nothing"),
    TaskView("top-plate-pomdp", TOP_PLATE, "the number of plates", keep=(0, 2)),
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
