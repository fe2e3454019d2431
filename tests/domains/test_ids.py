import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.utils.env_checker import check_env

from offpcc import domains

# id: observation size, step limit and, unless it is 1, action size, as was agreed on
AGREED = {
    "cartpole-continuous-v0": (4, 200),
    "cartpole-continuous-p-v0": (2, 200),
    "cartpole-continuous-v-v0": (2, 200),
    "cartpole-continuous-va-v0": (3, 200),
    "cartpole-continuous-long-v0": (4, 1000),
    "cartpole-continuous-long-p-v0": (2, 1000),
    "cartpole-continuous-long-v-v0": (2, 1000),
    "cartpole-continuous-long-p-concat5-v0": (10, 1000),
    "cartpole-continuous-long-v-concat10-v0": (20, 1000),
    "pendulum-v0": (3, 200),
    "pendulum-p-v0": (2, 200),
    "pendulum-v-v0": (1, 200),
    "pendulum-va-v0": (2, 200),
    "pendulum-p-concat5-v0": (10, 200),
    "pendulum-v-concat10-v0": (10, 200),
    "pendulum-va-concat10-v0": (20, 200),
    "water-maze-mdp-v0": (5, 200),
    "water-maze-pomdp-v0": (3, 200),
    "water-maze-dense-mdp-v0": (5, 200),
    "water-maze-dense-pomdp-v0": (3, 200),
    "water-maze-simple-mdp-v0": (5, 200),
    "water-maze-simple-pomdp-v0": (3, 200),
    "water-maze-simple-mdp-concat10-v0": (30, 200),
    "car-v0": (3, 160),
    "car-concat20-v0": (60, 160),
    "car-episodic-v0": (3, 160),
    "car-episodic-concat20-v0": (60, 160),
    "car-top-v0": (2, 10),
    "car-top-narrow-v0": (2, 10),
    "car-top-relative-v0": (60, 8),
    "ant-reacher-top-v0": (4, 20),
    "bump-top-v0": (2, 20),
    "box-top-v0": (2, 20),
    "pbc-bump-mdp-v0": (3, 50),
    "ur5-top-v0": (6, 200),
    "ur5-mdp-top-v0": (6, 20),
    "pendulum-noise0.1-v0": (3, 200),
    "pendulum-p-dropout0.2-v0": (2, 200),
    "pendulum-repeat4-v0": (3, 50),
    "cartpole-continuous-delay2-v0": (4, 200),
    "reacher-mdp-v0": (11, 50),
    "reacher-pomdp-v0": (11, 50),
    "reacher-pomdp-p-v0": (9, 50),
    "bernoulli-bandit-v0": (6, 100),
    "t-maze10-v0": (3, 11),
    "t-maze50-v0": (3, 51),
    "t-maze100-v0": (3, 101),
    "t-maze10-discrete-v0": (3, 11),
    "t-maze50-discrete-v0": (3, 51),
    "Quadrotor-v0": (45, 1000),
    "QuadInvPendulum-v0": (14, 1000),
    "pendulum-var-len-pvl-v0": (4, 200),
    "pendulum-var-len-pv-v0": (3, 200),
    "pendulum-var-len-pl-v0": (3, 200),
    "pendulum-var-len-pa-v0": (3, 200),
    "pendulum-var-len-pa-concat5-v0": (15, 200),
    "cartpole-variable-mass-pv-v0": (4, 350),
    "cartpole-variable-mass-p-v0": (2, 350),
    "cartpole-variable-mass-p-concat10-v0": (20, 350),
    "cartpole-var-len-pvl-v0": (6, 500),
    "cartpole-var-len-pv-v0": (5, 500),
    "cartpole-var-len-pa-v0": (4, 500),
    "cartpole-var-len-pa-concat5-v0": (20, 500),
    "cartpole-flip-action-pvf-v0": (6, 350),
    "cartpole-flip-action-pv-v0": (5, 350),
    "cartpole-flip-action-pa-v0": (4, 350),
    "cartpole-flip-action-pa-concat5-v0": (20, 350),
}
# the view that shows everything, where it has a name of its own
FULL = {
    "pendulum-var-len": "-pvl",
    "cartpole-variable-mass": "-pv",
    "cartpole-var-len": "-pvl",
    "cartpole-flip-action": "-pvf",
}
# the beginning of ids: their actions, if these are not one number in [-1, 1]
ACTIONS = {
    "Quadrotor": Box(-1.0, 1.0, (4,), np.float32),
    "water-maze": Box(-1.0, 1.0, (2,), np.float32),
    "ant-reacher": Box(-1.0, 1.0, (2,), np.float32),
    "reacher": Box(-1.0, 1.0, (2,), np.float32),
    "ur5-": Box(-1.0, 1.0, (3,), np.float32),
    "bernoulli-bandit": Discrete(4),
    "t-maze10-discrete": Discrete(2),
    "t-maze50-discrete": Discrete(2),
}
every_id = pytest.mark.parametrize("id", AGREED)


def some_actions(space, steps):
    """A fixed sequence of actions of a space."""
    draw = np.random.default_rng(1)
    if isinstance(space, Discrete):
        return draw.integers(space.n, size=steps)
    return draw.uniform(-0.2, 0.2, size=(steps, *space.shape))


def play(env, seed, steps):
    """What an episode shows under one fixed sequence of actions."""
    seen = [env.reset(seed=seed)[0]]
    for action in some_actions(env.action_space, steps):
        observation, _, terminated, truncated, _ = env.step(action)
        seen.append(observation)
        if terminated or truncated:
            break
    return np.array(seen)


@every_id
def test_sizes_and_limits_are_as_agreed(id):
    size, limit = AGREED[id]
    env = gymnasium.make(id)
    assert env.observation_space.shape == (size,)
    assert env.observation_space.dtype == np.float32
    actions = [space for begin, space in ACTIONS.items() if id.startswith(begin)]
    assert env.action_space == [*actions, Box(-1.0, 1.0, (1,), np.float32)][0]
    assert env.spec.max_episode_steps == limit


@every_id
def test_every_id_says_what_it_hides(id):
    assert domains.HIDDEN[id]
    assert gymnasium.make(id).unwrapped.hidden == domains.HIDDEN[id]


@every_id
@pytest.mark.usefixtures("no_display")
@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_gymnasiums_checker_finds_no_fault(id):
    check_env(gymnasium.make(id))
    check_env(gymnasium.make(id).unwrapped)


@every_id
def test_observations_stay_inside_their_box(id):
    env = gymnasium.make(id)
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(300):
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        assert observation in env.observation_space
        if terminated or truncated:
            assert env.reset()[0] in env.observation_space


@every_id
def test_a_seed_repeats_an_episode_whatever_was_played_before(id):
    fresh = play(gymnasium.make(id), seed=7, steps=40)
    used = gymnasium.make(id)
    play(used, seed=3, steps=17)
    used.reset()
    assert np.array_equal(play(used, seed=7, steps=40), fresh)
    starts = [used.reset(seed=seed) and used.unwrapped.values.copy() for seed in range(10)]
    assert len(np.unique(starts, axis=0)) > 1  # also where the first observation tells nothing


@pytest.mark.parametrize("id", ["pendulum-va-concat10-v0", "cartpole-continuous-long-p-concat5-v0"])
def test_two_copies_played_in_turns_equal_each_played_alone(id):
    alone = [play(gymnasium.make(id), seed, steps=10) for seed in (1, 2)]
    copies = [gymnasium.make(id) for _ in range(2)]
    seen = [[copy.reset(seed=seed)[0]] for copy, seed in zip(copies, (1, 2), strict=True)]
    for action in np.random.default_rng(1).uniform(-0.2, 0.2, size=(10, 1)):
        for copy, observations in zip(copies, seen, strict=True):
            observations.append(copy.step(action)[0])
    assert all(np.array_equal(one, two) for one, two in zip(alone, seen, strict=True))


@pytest.mark.parametrize("id", ["pendulum-v0", "pendulum-va-concat10-v0"])
def test_there_is_one_time_limit_and_it_truncates(id):
    env = gymnasium.make(id)
    layers = str(env)
    assert layers.count("TimeLimit") == 1
    assert "OrderEnforcing" not in layers and "PassiveEnvChecker" not in layers
    env.reset(seed=0)
    ends = [env.step(np.zeros(1))[2:4] for _ in range(200)]
    assert ends[-1] == (False, True)
    assert set(ends[:-1]) == {(False, False)}


@pytest.mark.parametrize(
    ("env", "view", "entries"),
    [
        ("pendulum", "-p", [0, 1]),
        ("pendulum", "-p-concat5", [0, 1]),
        ("pendulum", "-v", [2]),
        ("pendulum", "-v-concat10", [2]),
        ("pendulum", "-va", [2, "action"]),
        ("pendulum", "-va-concat10", [2, "action"]),
        ("cartpole-continuous", "-p", [0, 2]),
        ("cartpole-continuous", "-v", [1, 3]),
        ("cartpole-continuous", "-va", [1, 3, "action"]),
        ("cartpole-continuous-long", "-p", [0, 2]),
        ("cartpole-continuous-long", "-p-concat5", [0, 2]),
        ("cartpole-continuous-long", "-v", [1, 3]),
        ("cartpole-continuous-long", "-v-concat10", [1, 3]),
        ("car", "-concat20", [0, 1, 2]),
        ("car-episodic", "-concat20", [0, 1, 2]),
        ("pendulum-var-len", "-pv", [0, 1, 2]),
        ("pendulum-var-len", "-pl", [0, 1, 3]),
        ("pendulum-var-len", "-pa", [0, 1, "action"]),
        ("pendulum-var-len", "-pa-concat5", [0, 1, "action"]),
        ("cartpole-variable-mass", "-p", [0, 2]),
        ("cartpole-variable-mass", "-p-concat10", [0, 2]),
        ("cartpole-var-len", "-pv", [0, 1, 2, 3, 4]),
        ("cartpole-var-len", "-pa", [0, 2, 3, "action"]),
        ("cartpole-var-len", "-pa-concat5", [0, 2, 3, "action"]),
        ("cartpole-flip-action", "-pv", [0, 1, 2, 3, 4]),
        ("cartpole-flip-action", "-pa", [0, 2, 3, "action"]),
        ("cartpole-flip-action", "-pa-concat5", [0, 2, 3, "action"]),
    ],
)
def test_the_newest_frame_is_these_entries_of_the_full_observation(env, view, entries):
    full = play(gymnasium.make(f"{env}{FULL.get(env, '')}-v0"), seed=5, steps=20)
    seen = play(gymnasium.make(f"{env}{view}-v0"), seed=5, steps=20)[:, -len(entries) :]
    actions = np.random.default_rng(1).uniform(-0.2, 0.2, size=20)  # those of play
    for column, entry in enumerate(entries):
        expected = np.float32([0.0, *actions]) if entry == "action" else full[:, entry]
        assert np.array_equal(seen[:, column], expected)


def test_the_last_frame_of_va_concat10_is_the_velocity_and_the_action_before():
    env = gymnasium.make("pendulum-va-concat10-v0")
    first, _ = env.reset(seed=0)
    speed = np.float32(env.unwrapped.state[1])
    assert first.tolist() == [speed, 0.0] * 10
    second = env.step(np.array([-0.75], dtype=np.float32))[0]
    assert second[:-2].tolist() == [speed, 0.0] * 9
    assert second[-2:].tolist() == [np.float32(env.unwrapped.state[1]), -0.75]


def test_an_environment_can_be_made_again_from_its_spec():
    env = gymnasium.make("pendulum-va-concat10-v0")
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert str(again) == str(env)
    assert np.array_equal(play(again, seed=0, steps=5), play(env, seed=0, steps=5))


def test_importing_the_package_loads_no_environment_and_no_pygame():
    loaded = "import sys, offpcc.domains; print([m for m in sys.modules if m in ('pygame', 'torch')"
    loaded += " or m.startswith('offpcc.domains.')])"
    run = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['offpcc.domains.task', 'offpcc.domains.table']"
