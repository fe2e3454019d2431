"""Which choices are legal: the forms that are read, and the places that they come from."""

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete
from masked import PARTS, SPACES, Masked, MaskedVector

from offpcc.data import ACTION_MASK, Field
from offpcc.envs.action_mask import MaskReader
from offpcc.envs.actions import Choices
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.checker import check_environment
from offpcc.envs.native_vector_env import NativeVectorEnv
from offpcc.envs.space_adapter import SpaceAdapter
from offpcc.envs.values import SpaceError
from offpcc.errors import EnvironmentFault

FLOATS = Box(-1, 1, (3,))
SOURCES = ["info", "observation", "method", "tuple"]


def reader(space: Any) -> MaskReader:
    return MaskReader(Choices(space), "mask")


def read(space: Any, given: Any, **settings: Any) -> list[Any]:
    return reader(space).read(given, **settings).astype(int).tolist()


# Forms


@pytest.mark.parametrize(
    ("space", "given", "expected"),
    [
        (Discrete(3), [True, False, True], [1, 0, 1]),
        (Discrete(3, start=7), np.int8([0, 1, 0]), [0, 1, 0]),
        (Discrete(2), np.float32([0, 1]), [0, 1]),
        (MultiDiscrete([2, 3]), np.bool_([1, 0, 0, 1, 1]), [1, 0, 0, 1, 1]),
        (MultiDiscrete([2, 3]), (np.int8([1, 0]), np.int8([0, 1, 1])), [1, 0, 0, 1, 1]),
        (
            MultiDiscrete([[2, 2], [2, 2]]),
            ((np.int8([1, 0]), np.int8([0, 1])), (np.int8([1, 1]), np.int8([1, 0]))),
            [1, 0, 0, 1, 1, 1, 1, 0],
        ),
        (MultiBinary(2), [1, 0, 1, 1], [1, 0, 1, 1]),
        (MultiBinary(3), np.int8([0, 1, 2]), [1, 0, 0, 1, 1, 1]),
    ],
)
def test_a_mask_is_read_in_each_form_of_the_field(space, given, expected) -> None:
    assert read(space, given) == expected
    rows = tuple(np.stack([part] * 2) for part in given) if isinstance(given, tuple) else None
    if rows is None or not isinstance(given[0], tuple):
        batch = np.stack([given] * 2) if rows is None else rows
        assert read(space, batch, rows=(2,)) == [expected] * 2


@pytest.mark.parametrize("kind", SPACES)
def test_what_gymnasium_samples_with_a_mask_is_legal_here(kind) -> None:
    space, sizes = SPACES[kind], PARTS[kind]
    actions, random = Choices(space), np.random.default_rng(0)
    space.seed(0)
    for _ in range(50):
        parts = [random.random(count) < 0.5 for count in sizes]
        for part in parts:
            part[random.integers(len(part))] = True
        given: Any = tuple(part.astype(np.int8) for part in parts)
        if kind == "discrete":
            given = given[0]
        elif kind == "binary":  # 0 alone, 1 alone, or either
            given = np.int8([part.argmax() if part.sum() == 1 else 2 for part in parts])
        legal = reader(space).read(given)
        assert legal.tolist() == np.concatenate(parts).tolist()
        taken = actions.agents(space.sample(mask=given)[None])
        assert legal[taken[0] > 0].all()


@pytest.mark.parametrize(
    ("space", "given", "said"),
    [
        (Discrete(3), [1, 0], r"mask has the shape \(2,\), not \(3,\)"),
        (Discrete(3), [[1, 0, 1]], r"mask has the shape \(1, 3\), not \(3,\)"),
        (Discrete(3), [0.5, 0, 1], "mask has 0.5; an entry is 0 or 1"),
        (Discrete(3), [-np.inf, 0, 0], "mask has -inf; an entry is 0 or 1"),
        (Discrete(3), ["a", "b", "c"], "mask is not of numbers"),
        (Discrete(3), [False] * 3, "mask allows no choice$"),
        (Discrete(3), None, "mask is missing; it was there at the first reset"),
        (MultiDiscrete([2, 3]), [1, 1, 0, 0, 0], "mask allows no choice for part 1 of the action"),
        (
            MultiDiscrete([2, 3]),
            (np.ones(3), np.ones(2)),
            r"has parts of the shapes \[\(3,\), \(2,\)\], not \(5,\), or a tuple of 2 and 3",
        ),
        (MultiBinary(3), np.int8([0, 1, 3]), "mask has 3; an entry is 0, 1 or 2"),
        (MultiBinary(3), [True, False, True], r"mask has the shape \(3,\), not \(6,\), or a tuple"),
    ],
)
def test_what_is_no_mask_is_refused_with_what_it_should_be(space, given, said) -> None:
    with pytest.raises(SpaceError, match=said):
        read(space, given)


def test_of_a_batch_the_row_that_allows_nothing_is_said() -> None:
    with pytest.raises(SpaceError) as caught:
        read(Discrete(2), [[1, 1], [0, 1], [0, 0]], rows=(3,))
    assert caught.value.row == 2


def test_after_a_true_end_what_is_missing_or_empty_allows_everything() -> None:
    assert read(Discrete(2), None, over=True) == [1, 1]
    assert read(Discrete(2), [0, 0], over=True) == [1, 1]
    assert read(Discrete(2), [[0, 0], [0, 1]], rows=(2,), over=[True, True]) == [[1, 1], [0, 1]]
    with pytest.raises(SpaceError, match="missing"):
        read(Discrete(2), None, rows=(2,), over=[True, False])


# Places


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", SPACES)
def test_a_mask_is_a_key_of_its_own_wherever_it_comes_from(kind, source) -> None:
    raw = Masked(kind, source)
    env = EnvAdapter(raw, previous_action=True)
    spec, random = env.spec_of_agent, np.random.default_rng(0)
    assert spec.observation[ACTION_MASK] == Field((spec.action,), "bool") and spec.is_masked
    assert spec.choices == PARTS[kind]
    for seed in range(20):
        seen = env.reset(seed=seed)[0]
        for _ in range(raw.length):
            assert seen.keys() == spec.observation.keys()
            assert seen[ACTION_MASK].tolist() == raw.mask.astype(bool).tolist()
            outcome = env.play(env.space_adapter.uniform(random, seen))
            seen = outcome.seen
        assert outcome.terminated and seen[ACTION_MASK].all()


def test_the_key_of_a_mask_may_have_another_name_and_then_is_a_mask_alone() -> None:
    env = EnvAdapter(Masked(source="legal"), action_mask_key="legal")
    assert list(env.spec_of_agent.observation) == ["seen", ACTION_MASK]
    seen = env.reset(seed=3)[0]
    back = env.space_adapter.env_observations([seen])
    assert back["legal"].tolist() == [seen[ACTION_MASK].astype(int).tolist()]
    assert back["legal"].dtype == np.int8


@pytest.mark.parametrize("source", SOURCES)
def test_without_a_key_nothing_is_masked(source) -> None:
    env = EnvAdapter(Masked(source=source), action_mask_key=None)
    assert not env.spec_of_agent.is_masked
    seen = env.reset(seed=1)[0]
    assert all(values.dtype == np.float32 for values in seen.values())


class Shows(Masked):
    """Tells of the masks of a list, one a step, and survives everything."""

    def __init__(self, masks: list[Any], length: int = 9) -> None:
        super().__init__(length=length)
        self.masks = masks

    def draw(self) -> None:
        self.mask = np.ones(4, np.int8)

    def info(self) -> dict[str, Any]:
        mask = self.masks[min(self.steps, len(self.masks) - 1)]
        return {} if mask is None else {"action_mask": mask}


FINE = [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ([0, 0, 0, 0], r"info\['action_mask'\] allows no choice"),
        ([1, 1, 1], r"info\['action_mask'\] has the shape \(3,\), not \(4,\)"),
        ([1, 1, 1, 0.5], r"info\['action_mask'\] has 0.5; an entry is 0 or 1"),
        (None, r"info\['action_mask'\] is missing"),
    ],
)
def test_a_mask_that_is_wrong_later_is_a_fault_with_its_place(later, said) -> None:
    env = EnvAdapter(Shows([FINE, FINE, later]))
    seen = env.reset(seed=5)[0]
    random = np.random.default_rng(0)
    place = r"; copy 0, episode 0 \(seed 5\), step \d, last actions"
    with pytest.raises(EnvironmentFault, match=said + ".*" + place):
        for _ in range(5):
            seen = env.play(env.space_adapter.uniform(random, seen)).seen


@pytest.mark.parametrize("terminated", [True, False])
def test_after_a_true_end_an_environment_is_not_asked_for_a_mask(terminated) -> None:
    class Silent(Masked):
        def step(self, action: Any) -> Any:
            seen, reward, over, _, info = super().step(action)
            self.over = over
            return seen, reward, over and terminated, over and not terminated, info

        def ask(self) -> Any:
            if self.over:
                raise RuntimeError("the game is over")
            return self.mask

    raw = Silent(source="method", length=1)
    raw.over, raw.action_masks = False, raw.ask
    env = EnvAdapter(raw)
    action = np.eye(4)[env.reset(seed=1)[0][ACTION_MASK].argmax()]
    if terminated:
        assert env.play(action).seen[ACTION_MASK].all()
    else:
        with pytest.raises(EnvironmentFault, match="the game is over"):
            env.play(action)


def test_a_mask_that_allows_nothing_at_a_reset_is_a_fault() -> None:
    env = EnvAdapter(Shows([[0, 0, 0, 0]]))
    with pytest.raises(EnvironmentFault, match=r"allows no choice; copy 0, episode 0 \(seed 4\)"):
        env.reset(seed=4)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: EnvAdapter(Shows([[1, 1]])),
            r"info\['action_mask'\] has the shape \(2,\), not \(4,\)",
        ),
        (
            lambda: EnvAdapter(Masked(), action_mask_key="legal"),
            r"action_mask_key is 'legal'; the observation has \['observation'\], the info "
            r"\['action_mask'\]",
        ),
        (
            lambda: SpaceAdapter(
                Dict({"seen": FLOATS, "action_mask": MultiBinary(3)}), Discrete(4)
            ),
            r"the action mask action_mask is MultiBinary\(3\); .*Discrete\(4\) need \(4,\): name",
        ),
        (
            lambda: SpaceAdapter(
                Dict({"legal": MultiBinary(4), "action_mask": FLOATS}),
                Discrete(4),
                action_mask_key="legal",
            ),
            "key 'action_mask' is not the action mask, legal is; rename the key",
        ),
    ],
)
def test_a_mask_that_cannot_be_is_refused_when_the_environment_is_made(make, said) -> None:
    with pytest.raises(ValueError, match=said):
        make()


def test_continuous_actions_have_no_mask() -> None:
    class Continuous(Masked):
        def __init__(self) -> None:
            super().__init__()
            self.action_space = FLOATS

    assert not EnvAdapter(Continuous()).spec_of_agent.is_masked
    with pytest.raises(ValueError, match="action_mask_key is 'legal', and the actions are no cho"):
        EnvAdapter(Continuous(), action_mask_key="legal")


# Several together


@pytest.mark.parametrize("source", ["info", "observation"])
def test_copies_that_step_together_have_a_mask_each_until_they_rest(source) -> None:
    vector = MaskedVector(3, source=source)
    beside = {"mask_beside": "info['action_mask']"} if source == "info" else {}
    copies = NativeVectorEnv(vector, **beside)
    seen = copies.reset({0: 1, 2: 3})
    for env, each in zip((vector.envs[0], vector.envs[2]), seen, strict=True):
        assert each[ACTION_MASK].tolist() == env.mask.astype(bool).tolist()
    copies.reset({1: 2})
    copies.step(np.zeros((3, 4), np.float32) + np.eye(4)[[e.mask.argmax() for e in vector.envs]])
    copies.rest()
    for _ in range(20):  # whatever they are given: those that rest take what is legal
        outcomes = copies.step(np.zeros((3, 4), np.float32))
    assert all(outcome.terminated for outcome in outcomes)


def test_a_copy_whose_mask_is_missing_is_named() -> None:
    vector = MaskedVector(2)
    copies = NativeVectorEnv(vector, mask_beside="info['action_mask']")
    copies.reset({0: 1, 1: 2})
    infos = vector.infos

    def one_is_missing() -> Any:
        given = infos()
        given["_action_mask"][1] = False
        return given

    vector.infos = one_is_missing  # type: ignore[method-assign]
    actions = np.eye(4, dtype=np.float32)[[env.mask.argmax() for env in vector.envs]]
    with pytest.raises(EnvironmentFault, match=r"info\['action_mask'\] is missing; copy 1, epi"):
        copies.step(actions)


def test_a_check_plays_legal_choices() -> None:
    found = check_environment("Masked-several-v0")
    assert "action_mask (9,)" in found["offpcc serves its spaces"]
    assert found["reset(seed) repeats an episode, whatever was played before"] == "yes"
    assert found["two copies do not touch each other"] == "yes"
    assert found["an episode ends"].startswith("yes")
    assert found["gymnasium's check_env passes"].startswith("not known, as it draws choices")
