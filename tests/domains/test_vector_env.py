"""Many copies at once are the same environments as one at a time."""

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode

from offpcc import domains
from offpcc.domains.vector_env import BatchedEnv

COPIES = 5
OURS = [id for id in domains.HIDDEN if gymnasium.spec(id).vector_entry_point]
PRIVILEGED = domains.harder("pendulum-var-len-pa-privileged-v0")
every_id = pytest.mark.parametrize("id", OURS)


def together(id: str = "cartpole-continuous-long-p-v0", copies: int = COPIES) -> BatchedEnv:
    envs = gymnasium.make_vec(id, copies)
    assert isinstance(envs, BatchedEnv)
    return envs


@every_id
def test_copies_give_the_numbers_of_single_environments_step_for_step(id):
    envs, singles = together(id), [gymnasium.make(id) for _ in range(COPIES)]
    draw = np.random.default_rng(0)
    ended, seed = np.ones(COPIES, bool), 0
    for _ in range(min(envs.limit, 500) + 60):
        if ended.any():
            seed += 10
            seeds = [seed + i for i in range(COPIES)]
            seen, _ = envs.reset(seed=seeds, options={"reset_mask": ended})
            for i in np.flatnonzero(ended):
                assert np.array_equal(seen[i], singles[i].reset(seed=seeds[i])[0])
        space = envs.single_action_space
        actions = draw.uniform(-1.2, 1.2, (COPIES, *space.shape))
        if isinstance(space, Discrete):
            actions = draw.integers(space.n, size=COPIES)
        seen, reward, terminated, truncated, info = envs.step(actions)
        for i, single in enumerate(singles):
            alone = single.step(actions[i])
            assert np.array_equal(seen[i], alone[0])
            assert (reward[i], terminated[i], truncated[i]) == alone[1:4]
            assert {k: v[i] for k, v in info.items() if k[0] != "_"} == alone[4]
        ended = terminated | truncated
    assert seed > 10  # an episode ended and another began


def test_copies_get_the_info_of_single_environments():
    envs, singles = together(PRIVILEGED, 3), [gymnasium.make(PRIVILEGED) for _ in range(3)]
    seen = envs.reset(seed=5)[0]
    alone = [single.reset(seed=5 + i)[0] for i, single in enumerate(singles)]
    for _ in range(4):
        assert seen in envs.observation_space
        for key in ("observation", "privileged"):
            assert np.array_equal(seen[key], [each[key] for each in alone])
        seen = envs.step(np.full((3, 1), 0.3))[0]
        alone = [single.step(np.full(1, 0.3))[0] for single in singles]


@every_id
def test_spaces_are_those_of_the_single_environment_n_times(id):
    envs, single = together(id), gymnasium.make(id)
    assert envs.num_envs == COPIES
    assert envs.single_observation_space == single.observation_space
    assert envs.single_action_space == single.action_space
    assert envs.reset(seed=0)[0] in envs.observation_space
    assert envs.metadata["autoreset_mode"] == AutoresetMode.DISABLED


def test_a_number_as_the_seed_counts_up_from_copy_to_copy():
    seen, _ = together().reset(seed=7)
    again, _ = together().reset(seed=[7, 8, 9, 10, 11])
    assert np.array_equal(seen, again)
    assert len(np.unique(seen, axis=0)) == COPIES


def test_without_a_seed_an_episode_goes_on_with_its_copy_s_own_chance():
    envs, others = together(), together()
    for batch in (envs, others):
        batch.reset(seed=7)
    first = envs.reset()[0]
    assert np.array_equal(first, others.reset()[0])
    assert not np.array_equal(first, envs.reset()[0])


def test_a_copy_whose_episode_has_ended_rests_until_it_is_reset():
    envs = together(copies=2)
    envs.reset(seed=0)
    envs.env.values[0, 1] = 3.0  # beyond the track
    push = np.full((2, 1), 0.1)
    seen, reward, terminated, _, _ = envs.step(push)
    assert (reward.tolist(), terminated.tolist()) == ([1, 1], [False, True])
    later, reward, terminated, _, _ = envs.step(push)
    assert (reward.tolist(), terminated.tolist()) == ([1, 0], [False, True])
    assert np.array_equal(later[1], seen[1]) and not np.array_equal(later[0], seen[0])
    envs.reset(seed=[None, 4], options={"reset_mask": [False, True]})
    assert envs.step(push)[1].tolist() == [1, 1]


def test_each_copy_has_a_time_limit_of_its_own():
    envs = together("pendulum-v0", copies=2)
    envs.reset(seed=0)
    rest = np.zeros((2, 1))
    for _ in range(150):
        envs.step(rest)
    envs.reset(options={"reset_mask": np.array([True, False])})
    ends = [envs.step(rest)[3].tolist() for _ in range(50)]
    assert ends[-1] == [False, True]
    assert ends[:-1] == [[False, False]] * 49


def test_what_does_not_fit_the_copies_is_refused():
    envs = together()
    with pytest.raises(ResetNeeded):
        envs.step(np.zeros((COPIES, 1)))
    envs.reset(seed=0)
    for actions in (np.zeros((COPIES - 1, 1)), np.zeros(COPIES), np.zeros((COPIES, 2))):
        with pytest.raises(ValueError, match="shape"):
            envs.step(actions)
    for mask in ([True], np.ones(COPIES + 1, bool)):
        with pytest.raises(ValueError, match="5 entries, one a copy"):
            envs.reset(options={"reset_mask": mask})
    with pytest.raises(ValueError, match="5 entries, one a copy"):
        envs.reset(seed=[1, 2])
