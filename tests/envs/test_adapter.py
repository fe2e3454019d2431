"""Any gymnasium environment as offpcc plays it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import (
    Box,
    Dict,
    Discrete,
    Graph,
    MultiBinary,
    MultiDiscrete,
    Sequence,
    Text,
    Tuple,
)
from hypothesis import given
from hypothesis import strategies as st

from offpcc.data import Field
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.make_env import make_env

UNIT = Box(-1, 1, (2,))


class Plain(gymnasium.Env[Any, Any]):
    """Shows what `shown` holds, and remembers the actions that it was given."""

    def __init__(self, observation: gymnasium.Space, action: gymnasium.Space, shown: Any = None):
        self.observation_space, self.action_space = observation, action
        self.shown = observation.sample() if shown is None else shown
        self.taken: list[Any] = []
        self.seeds: list[int | None] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.seeds.append(seed)
        return self.shown, {"result": options}

    def step(self, action: Any) -> Any:
        self.taken.append(action)
        return (
            self.shown,
            np.float64(len(self.taken) / 2),
            np.bool_(False),
            len(self.taken) == 3,
            {},
        )


def seen(space: gymnasium.Space, shown: Any) -> dict[str, np.ndarray]:
    """What the agent sees of one raw observation."""
    return EnvAdapter(Plain(space, UNIT, shown)).reset()[0]


# Observations


def test_a_plain_box_is_one_key_of_float32() -> None:
    env = EnvAdapter(Plain(Box(-9, 9, (2, 3), np.float64), UNIT, np.arange(6.0).reshape(2, 3)))
    assert dict(env.spec_of_agent.observation) == {"observation": Field((2, 3))}
    observation = env.reset()[0]["observation"]
    assert observation.dtype == np.float32
    assert observation.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_scalar_becomes_a_vector_of_one() -> None:
    env = EnvAdapter(Plain(Box(0, 9, ()), UNIT, np.float32(4)))
    assert dict(env.spec_of_agent.observation) == {"observation": Field((1,))}
    assert env.reset()[0]["observation"].tolist() == [4]


def test_integers_become_floats() -> None:
    observation = seen(Box(0, 9, (2,), np.int64), np.array([3, 7]))["observation"]
    assert observation.dtype == np.float32 and observation.tolist() == [3, 7]


def test_a_discrete_observation_is_one_hot_from_its_own_start() -> None:
    env = EnvAdapter(Plain(Discrete(4, start=2), UNIT, np.int64(3)))
    assert dict(env.spec_of_agent.observation) == {"observation": Field((4,))}
    assert env.reset()[0]["observation"].tolist() == [0, 1, 0, 0]


def test_pixels_stay_uint8() -> None:
    frame = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    env = EnvAdapter(Plain(Box(0, 255, (4, 4, 3), np.uint8), UNIT, frame))
    assert dict(env.spec_of_agent.observation) == {"observation": Field((4, 4, 3), "uint8")}
    observation = env.reset()[0]["observation"]
    assert observation.dtype == np.uint8 and np.array_equal(observation, frame)


def test_a_vector_of_bytes_is_numbers_and_not_pixels() -> None:
    env = EnvAdapter(Plain(Box(0, 255, (3,), np.uint8), UNIT, np.uint8([1, 2, 255])))
    assert dict(env.spec_of_agent.observation) == {"observation": Field((3,))}
    observation = env.reset()[0]["observation"]
    assert observation.dtype == np.float32 and observation.tolist() == [1, 2, 255]


def test_a_dict_keeps_its_keys() -> None:
    frame = Box(0, 255, (2, 2), np.uint8)
    space = Dict({"place": UNIT, "kind": Discrete(3), "frame": frame})
    shown = {"place": np.float32([0.5, -0.5]), "kind": 2, "frame": np.ones((2, 2), np.uint8)}
    env = EnvAdapter(Plain(space, UNIT, shown))
    assert dict(env.spec_of_agent.observation) == {
        "place": Field((2,)),
        "kind": Field((3,)),
        "frame": Field((2, 2), "uint8"),
    }
    observation = env.reset()[0]
    assert {key: value.tolist() for key, value in observation.items()} == {
        "place": [0.5, -0.5],
        "kind": [0, 0, 1],
        "frame": [[1, 1], [1, 1]],
    }


@pytest.mark.parametrize(
    "space", [Box(-9, 9, (2,)), Box(-9, 9, (2,), np.float64), Box(0, 255, (2, 2), np.uint8)]
)
def test_a_environment_that_reuses_its_array_changes_no_earlier_observation(space) -> None:
    buffer = np.zeros(space.shape, space.dtype)
    env = EnvAdapter(Plain(space, UNIT, buffer))
    first = env.reset()[0]["observation"]
    buffer[:] = 7
    assert env.step(np.zeros(2))[0]["observation"].max() == 7
    assert first.max() == 0


@pytest.mark.parametrize(
    ("space", "name"),
    [(Text(3), "Text"), (Graph(Discrete(2), None), "Graph"), (Sequence(UNIT), "Sequence")],
)
def test_other_observations_are_refused_by_name(space, name) -> None:
    with pytest.raises(ValueError, match=f"'observation' is a {name} space; offpcc reads Box"):
        EnvAdapter(Plain(space, UNIT))


def test_several_choices_are_one_hot_one_behind_the_other() -> None:
    shown = seen(MultiDiscrete([2, 3], start=[0, 5]), np.array([1, 6]))
    assert shown["observation"].tolist() == [0, 1, 0, 1, 0]
    shown = seen(MultiBinary((2, 2)), np.array([[0, 1], [1, 1]], np.int8))
    assert shown["observation"].tolist() == [[0, 1], [1, 1]]


def test_nested_spaces_are_taken_apart_and_put_together_again() -> None:
    space = Dict(
        {"arm": Tuple((Discrete(2), UNIT)), "eye": Dict({"left": Box(0, 255, (2, 2), np.uint8)})}
    )
    raw = {"arm": (1, np.float32([0.5, 1])), "eye": {"left": np.uint8([[1, 2], [3, 4]])}}
    env = EnvAdapter(Plain(space, UNIT, raw))
    shown = env.reset()[0]
    assert {key: value.tolist() for key, value in shown.items()} == {
        "arm/0": [0, 1],
        "arm/1": [0.5, 1],
        "eye/left": [[1, 2], [3, 4]],
    }
    back = env.space_adapter.env_observations([shown, shown])
    assert back["arm"][0].tolist() == [1, 1] and back["eye"]["left"].dtype == np.uint8
    assert back["arm"][1].tolist() == [[0.5, 1]] * 2


def test_a_refused_key_of_a_dict_is_named() -> None:
    space = Dict({"place": UNIT, "words": Text(3)})
    with pytest.raises(ValueError, match="observation 'words' is a Text space"):
        EnvAdapter(Plain(space, UNIT))


# Actions


def taken(space: Box, *actions: Any) -> list[Any]:
    """The raw actions that an environment gets for these."""
    env = Plain(Box(0, 1, (1,)), space)
    adapter = EnvAdapter(env)
    assert adapter.spec_of_agent.action == int(np.prod(space.shape))
    adapter.reset()
    for action in actions:
        adapter.step(np.asarray(action, np.float32))
    return env.taken


def test_actions_are_scaled_to_an_asymmetric_box() -> None:
    space = Box(np.float32([-2, 0, 10]), np.float32([2, 1, 30]))
    low, middle, quarter = taken(space, [-1, -1, -1], [0, 0, 0], [-0.5, 0.5, 0.5])
    assert low.tolist() == [-2, 0, 10]
    assert middle.tolist() == [0, 0.5, 20]
    assert quarter.tolist() == [-1, 0.75, 25]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_actions_reach_the_environment_in_its_own_shape_and_dtype(shape, dtype) -> None:
    size = int(np.prod(shape))
    raw = taken(Box(-3, 5, shape, dtype), np.linspace(-1, 1, size) if size > 1 else [1.0])[0]
    assert raw.shape == shape and raw.dtype == dtype
    assert raw.ravel()[-1] == 5


FLOATS = st.floats(width=16, allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=5), st.floats(-1, 1))
def test_the_ends_are_met_exactly_and_nothing_lies_beyond(bounds, place) -> None:
    low, high = (np.float32(list(side)) for side in zip(*map(sorted, bounds), strict=True))
    ones = np.ones(len(low))
    first, last, inside = taken(Box(low, high), -ones, ones, place * ones)
    assert np.array_equal(first, low) and np.array_equal(last, high)
    assert (inside >= low).all() and (inside <= high).all()


def test_rounding_takes_no_action_beyond_a_bound() -> None:
    space = Box(np.float64([0.1]), np.float64([0.7]), dtype=np.float64)
    first, last = taken(space, [-1], [1])
    assert first >= 0.1 and last <= 0.7
    assert (first[0], last[0]) == pytest.approx((0.1, 0.7), abs=1e-15)


@pytest.mark.parametrize(
    ("space", "result"),
    [
        (Tuple((UNIT, Discrete(2))), "action space is Tuple.*serves Box, .*TransformAction"),
        (Dict({"a": Discrete(2)}), "action space is Dict.*serves Box, .*TransformAction"),
        (Text(3), "action space is Text.*serves Box, .*TransformAction"),
        (Sequence(UNIT), "action space is Sequence.*serves Box, .*TransformAction"),
        (Box(-np.inf, np.inf, (2,)), "no finite bounds.*RescaleAction"),
        (Box(np.float32([0, -1]), np.float32([np.inf, 1])), "no finite bounds.*RescaleAction"),
        (Box(0, 3, (2,), np.int64), "of integers; actions must be floats: .*MultiDiscrete"),
    ],
)
def test_actions_that_cannot_be_served_are_refused_with_the_way_out(space, result) -> None:
    with pytest.raises(ValueError, match=result):
        EnvAdapter(Plain(Box(0, 1, (1,)), space))


# Steps, and the agent's own past


def test_what_a_step_gives_are_plain_python_values() -> None:
    env = EnvAdapter(Plain(Box(0, 1, (1,)), UNIT))
    assert env.reset(options={"a": 1})[1] == {"result": {"a": 1}}
    outcomes = [env.step(np.zeros(2))[1:4] for _ in range(3)]
    assert outcomes == [(0.5, False, False), (1.0, False, False), (1.5, False, True)]
    assert [tuple(map(type, outcome)) for outcome in outcomes] == 3 * [(float, bool, bool)]


def test_the_seed_reaches_the_environment() -> None:
    env = Plain(Box(0, 1, (1,)), UNIT)
    EnvAdapter(env).reset(seed=42)
    assert env.seeds == [42]


def test_the_agents_past_is_zero_at_reset_and_then_its_own_last_step() -> None:
    env = Plain(Box(0, 1, (1,)), Box(0, 10, (2,)))
    adapter = EnvAdapter(env, previous_action=True, previous_reward=True)
    keys = dict(adapter.spec_of_agent.observation)
    assert keys.pop("observation") == Field((1,))
    assert keys == {"previous_action": Field((2,)), "previous_reward": Field((1,))}
    for _ in range(2):  # the second reset forgets
        first = adapter.reset()[0]
        assert first["previous_action"].tolist() == [0, 0]
        assert first["previous_reward"].tolist() == [0]
        action = np.float32([0.5, -1])
        second = adapter.step(action)[0]
        action[:] = 9  # the caller's array is not kept
        assert second["previous_action"].tolist() == [
            0.5,
            -1,
        ]  # in [-1, 1], not as the environment has it
        assert second["previous_reward"].tolist() == [len(env.taken) / 2]
        assert {value.dtype for value in second.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("key", ["previous_action", "previous_reward"])
def test_each_part_of_the_past_is_there_only_where_it_is_asked_for(key) -> None:
    env = EnvAdapter(Plain(Box(0, 1, (1,)), UNIT), **{key: True})
    assert set(env.spec_of_agent.observation) == {"observation", key}
    assert set(env.reset()[0]) == set(env.step(np.zeros(2))[0]) == {"observation", key}


def test_a_past_that_the_environment_itself_shows_is_not_added_again() -> None:
    space = Dict({"previous_action": UNIT})
    assert set(EnvAdapter(Plain(space, UNIT), previous_reward=True).reset()[0]) == {
        "previous_action",
        "previous_reward",
    }
    with pytest.raises(ValueError, match="has \\['previous_action'\\] already"):
        EnvAdapter(Plain(space, UNIT), previous_action=True)


# By id


@pytest.fixture
def module_of_envs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module that registers Elsewhere-v0 when it is imported."""
    (tmp_path / "elsewhere_envs.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('Elsewhere-v0', 'gymnasium.envs.classic_control:PendulumEnv')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    gymnasium.registry.pop("Elsewhere-v0", None)


def test_an_id_makes_its_environment() -> None:
    env = make_env("Pendulum-v1", previous_action=True)
    assert set(env.spec_of_agent.observation) == {"observation", "previous_action"}
    env.reset(seed=0)
    assert [env.step(np.zeros(1))[3] for _ in range(200)] == [False] * 199 + [True]


@pytest.mark.usefixtures("module_of_envs")
def test_a_module_before_the_id_is_imported_first() -> None:
    with pytest.raises(ValueError, match="unknown environment 'Elsewhere-v0'"):
        make_env("Elsewhere-v0")
    assert make_env("elsewhere_envs:Elsewhere-v0").spec_of_agent.action == 1


def test_an_unknown_id_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        ValueError, match=r"unknown environment 'Pendulm-v1'; did you mean Pendulum-v1"
    ):
        make_env("Pendulm-v1")


def test_an_unknown_module_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="there is no module 'no_such_envs'"):
        make_env("no_such_envs:Pendulum-v1")
