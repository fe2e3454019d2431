import math

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit

from offpcc import domains
from offpcc.domains.base_env import BaseEnv
from offpcc.domains.disturbances import AHEAD, CUT, Repeat
from offpcc.domains.observation_views import ViewWrapper
from offpcc.domains.pendulum import Pendulum
from offpcc.domains.t_maze import TMaze
from offpcc.domains.table import TABLE
from tests.domains.test_observation_views import Counter

REST = np.zeros(1, np.float32)


def episode(env, seed, steps=150) -> np.ndarray:
    seen = [env.reset(seed=seed)[0]]
    seen += [env.step(REST)[0] for _ in range(steps)]
    return np.array(seen)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """What noise of 0.1 adds to pendulums, (copies, steps, 3)."""
    added = []
    for seed in range(60):
        clear = episode(gymnasium.make("pendulum-v0"), seed)
        added.append(episode(gymnasium.make("pendulum-noise0.1-v0"), seed) - clear)
    return np.array(added)


def test_noise_is_gaussian_of_its_deviation_and_independent(noise):
    n = noise.size
    assert noise.mean() == pytest.approx(0.0, abs=4 * 0.1 / math.sqrt(n))
    assert noise.std() == pytest.approx(0.1, rel=4 / math.sqrt(2 * n))
    assert (np.abs(noise) > 0.1).mean() == pytest.approx(0.3173, abs=4 * 0.47 / math.sqrt(n))
    pairs = [(noise[:, :, 0], noise[:, :, 2]), (noise[:, 1:], noise[:, :-1])]  # entries, steps
    pairs += [(noise[1:], noise[:-1]), (noise[:, AHEAD:], noise[:, :-AHEAD])]  # copies, blocks
    for one, other in pairs:
        count = one.size
        assert (one * other).mean() == pytest.approx(0, abs=4 * 0.01 / math.sqrt(count))


def test_noise_never_leaves_its_wider_box():
    view = ViewWrapper(gymnasium.make("pendulum-v0"), noise=0.5)
    wide = np.float32([1, 1, 8]) + CUT * 0.5
    assert view.observation_space.high == pytest.approx(wide)
    assert view.observation_space.low == pytest.approx(-wide)
    numbers = np.full((1, 3), 9.0)
    shown = view._views.row[0].disturb(np.float32([[1, 1, 8]]), numbers)
    assert shown[0] == pytest.approx(wide)
    assert shown[0].astype(np.float32) in view.observation_space


@pytest.mark.parametrize("suffix", ["-noise0.1", "-dropout0.3", "-delay3"])
def test_the_environment_itself_does_not_notice(suffix):
    id = domains.harder(f"bernoulli-bandit{suffix}-v0")
    plain, harder = gymnasium.make("bernoulli-bandit-v0"), gymnasium.make(id)
    for seed in (3, None, None):
        plain.reset(seed=seed)
        harder.reset(seed=seed)
        assert np.array_equal(plain.unwrapped.values, harder.unwrapped.values)
        for _ in range(60):  # with chance in the environment
            arm = int(plain.unwrapped.values[3, 0])
            assert plain.step(arm)[1] == harder.step(arm)[1]


def test_dropout_zeroes_whole_observations_as_often_as_it_says():
    id, gone = domains.harder("pendulum-dropout0.2-v0"), []
    for seed in range(40):
        clear = episode(gymnasium.make("pendulum-v0"), seed)
        shown = episode(gymnasium.make(id), seed)
        zero = (shown == 0).all(1)
        assert np.array_equal(shown[~zero], clear[~zero])
        gone.append(zero)
    gone = np.array(gone)
    assert gone.mean() == pytest.approx(0.2, abs=4 * 0.4 / math.sqrt(gone.size))
    both = (gone[:, 1:] & gone[:, :-1]).mean()  # independent from step to step
    assert both == pytest.approx(0.04, abs=4 * 0.2 / math.sqrt(gone.size))
    assert 0 < gone[:, 0].sum() < 40  # the first observation too


def test_a_delay_repeats_the_first_observation_and_then_runs_behind():
    view = ViewWrapper(Counter(), delay=2)
    assert view.observation_space == Counter().observation_space
    action = [0.0, 2.0]
    for _ in range(2):
        counts = [view.reset()[0][0]] + [view.step(action)[0][0] for _ in range(4)]
        assert counts == [1, 1, 1, 2, 3]


def test_a_late_observation_comes_with_the_action_that_was_just_taken():
    view = ViewWrapper(Counter(), keep=(0,), delay=1, previous_action=True)
    view.reset()
    assert view.step([0.25, 2.0])[0].tolist() == [1, 0.25, 2]
    assert view.step([0.5, 3.0])[0].tolist() == [2, 0.5, 3]


def test_zero_entries_stay_in_their_place():
    view = ViewWrapper(Counter(), zero=(1, 0))
    assert view.reset()[0].tolist() == [0, 0, -1]
    assert view.step([0.0, 2.0])[0].tolist() == [0, 0, -2]


def test_a_first_look_is_taken_before_entries_are_kept():
    view = ViewWrapper(Counter(), first_look=(2,), keep=(2, 0))
    for _ in range(2):
        assert view.reset()[0].tolist() == [-1, 1]
        assert view.step([0.0, 2.0])[0].tolist() == [0, 2]


@pytest.mark.parametrize(
    "shown", [{"noise": 0.2}, {"dropout": 0.5}, {"noise": 0.1, "dropout": 0.2, "delay": 1}]
)
def test_the_wrapper_gives_the_numbers_of_our_environments(shown):
    wrapped = ViewWrapper(gymnasium.make("pendulum-v0"), **shown)
    assert np.array_equal(episode(wrapped, seed=5), episode(Pendulum(**shown), seed=5))


def test_an_episode_s_chance_repeats_with_its_seed_and_differs_from_the_next():
    env = gymnasium.make("pendulum-noise0.1-v0")
    first, second = episode(env, 1), episode(env, None)
    assert np.array_equal(episode(env, 1), first)
    assert np.array_equal(episode(env, None), second)
    assert not np.isin(second, first).any()


def test_a_copy_s_chance_does_not_depend_on_how_long_it_rested():
    id = domains.harder("t-maze10-noise0.3-v0")
    envs, single = gymnasium.make_vec(id, 2), gymnasium.make(id)
    envs.reset(seed=[4, 5])
    single.reset(seed=4)
    for _ in range(11):
        single.step(REST)
        envs.step(np.zeros((2, 1)))
    envs.reset(options={"reset_mask": [False, True]})
    for _ in range(7):  # the first copy rests
        envs.step(np.zeros((2, 1)))
    seen, _ = envs.reset(options={"reset_mask": [True, False]})
    assert np.array_equal(seen[0], single.reset()[0])
    for _ in range(4):
        assert np.array_equal(envs.step(np.zeros((2, 1)))[0][0], single.step(REST)[0])


def test_a_reset_of_others_shows_what_was_last_shown():
    id = "pendulum-noise0.1-v0"
    envs, single = gymnasium.make_vec(id, 2), gymnasium.make(id)
    envs.reset(seed=0)
    single.reset(seed=1)
    single.step(REST)
    before = envs.step(np.zeros((2, 1)))[0]
    after, _ = envs.reset(seed=[7, None], options={"reset_mask": [True, False]})
    assert np.array_equal(after[1], before[1]) and not np.array_equal(after[0], before[0])
    assert np.array_equal(envs.step(np.zeros((2, 1)))[0][1], single.step(REST)[0])


def test_a_repeated_action_sums_the_rewards():
    plain, env = Pendulum(), Pendulum(repeat=4)
    wrapped = Repeat(Pendulum(), 4)
    for one in (plain, env, wrapped):
        one.reset(seed=0)
    for action in ([0.5], [-1.0], [0.2]):
        steps = [plain.step(action) for _ in range(4)]
        for one in (env, wrapped):
            seen, reward, terminated, truncated, _ = one.step(action)
            assert reward == pytest.approx(sum(step[1] for step in steps), rel=1e-12)
            assert np.array_equal(seen, steps[-1][0])
            assert not terminated and not truncated


def test_repetition_stops_at_the_end_and_keeps_its_success():
    inner = TMaze(length=4)
    for env in (TMaze(length=4, repeat=3), Repeat(inner, 3)):
        cue = env.reset(seed=2)[0][0]
        assert env.step([cue])[1:] == (0.0, False, False, {"success": False})
        # 4 steps to the junction, the fifth turns; a sixth would go on in an episode that is over
        seen, *outcome = env.step([cue])
        assert outcome == [1.0, True, False, {"success": True}]
        assert seen.tolist() == [cue, 1, 1]


class Count(BaseEnv):
    """Counts to its end at 4, where alone it succeeds; it is paid its count."""

    high = (9.0,)
    state_limit = (9.0,)

    def begin(self, random):
        return [0.0]

    def advance(self, action):
        self.values = self.values + 1
        count = self.values[0]
        self.success = count == 4
        return count, count >= 4

    def observe(self):
        return [self.values[0]]

    def draw(self, canvas):
        raise NotImplementedError


def test_repetition_leaves_each_copy_where_it_ended():
    envs = Count(copies=3, repeat=3)
    envs.values[0] = 0.0, 2.0, 3.0
    reward, ended = envs.play(np.zeros((1, 3)))
    assert envs.values[0].tolist() == [3, 4, 4]
    assert reward.tolist() == [1 + 2 + 3, 3 + 4, 4]
    assert ended.tolist() == envs.success.tolist() == [False, True, True]


def test_repetition_stops_at_a_time_limit_inside_too():
    env = Repeat(TimeLimit(Count(), 3), 2)
    env.reset(seed=0)
    assert env.step(REST)[1:4] == (1 + 2, False, False)
    assert env.step(REST)[1:4] == (3, False, True)


def test_an_episode_of_repeated_actions_lasts_as_long_as_one_without():
    assert gymnasium.spec("pendulum-repeat4-v0").max_episode_steps == 50
    assert gymnasium.spec(domains.harder("pendulum-repeat3-v0")).max_episode_steps == 67  # 66 ⅔


@pytest.mark.parametrize("wrong", [{"noise": -0.1}, {"dropout": 1.5}, {"delay": -1}])
def test_sizes_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="needs"):
        ViewWrapper(Counter(), **wrong)
    with pytest.raises(ValueError, match="at least 1 time"):
        Repeat(Counter(), 0)


@pytest.mark.parametrize("id", ["pendulum-va-noise0.2-dropout0.1-delay3-repeat2-v0"])
def test_suffixes_name_a_row_of_their_own(id):
    assert domains.harder(id) == domains.harder(id) == id
    env = gymnasium.make(id)
    said = "angle, noise of 0.2, dropout of 0.1, delay of 3 steps, each action 2 times"
    assert domains.HIDDEN[id] == env.unwrapped.hidden == f"{said}; shown: the previous action"
    assert env.observation_space.shape == (2,)
    assert env.unwrapped.repeat == 2
    assert [type(view).__name__ for view in env.unwrapped.views.row] == [
        *("Keep", "Noise", "Dropout", "Delay", "PreviousAction")
    ]


def test_pictures_are_not_privileged():
    with pytest.raises(TypeError, match="the privileged key from a Box of shape"):
        gymnasium.make(domains.harder("pendulum-img-privileged-v0"))


@pytest.mark.parametrize(
    "id", ["pendulum-var-len-pa-noise0.1-privileged-v0", "pendulum-novel-privileged-v0"]
)
def test_the_privileged_key_has_all_of_it_beside_what_is_shown(id):
    result, plain = (gymnasium.make(domains.harder(x)) for x in (id, id.replace("-privileged", "")))
    full = gymnasium.make("pendulum-var-len-pvl-v0" if "len" in id else "Pendulum-v1")
    assert domains.HIDDEN[id].endswith("all of it, as another key")
    assert result.observation_space["observation"] == plain.observation_space
    assert result.observation_space["privileged"].shape[0] >= full.observation_space.shape[0]
    draw = np.random.default_rng(0)
    seen = [env.reset(seed=3)[0] for env in (result, plain, full)]
    for _ in range(30):
        assert np.array_equal(seen[0]["observation"], seen[1])
        assert np.array_equal(seen[0]["privileged"][: len(seen[2])], seen[2])
        assert seen[0] in result.observation_space
        action = draw.uniform(-1, 1, 1).astype(np.float32)
        seen = [env.step(action)[0] for env in (result, plain, full)]


@pytest.mark.parametrize(
    "id",
    [
        "pendulum-fog3-v0",
        "pendulum-noise-v0",
        "pendulum-delay0.5-v0",
        "pendulum-privileged3-v0",
        "x-noise1-v0",
    ],
)
def test_other_suffixes_are_refused(id):
    with pytest.raises(ValueError, match=r"none of -noise|no id of the table"):
        domains.harder(id)


@pytest.mark.parametrize("suffix", ["-repeat0", "-noise0.0", "-delay1-delay2", "-repeat2"])
def test_sizes_of_zero_and_second_sizes_are_refused(suffix):
    with pytest.raises(ValueError, match=r"size of zero|two sizes"):
        domains.harder(f"pendulum-repeat4{suffix}-v0")


def test_the_names_of_the_table_tell_their_sizes():
    sizes = {row.name: (row.noise, row.dropout, row.delay, row.repeat) for row in TABLE}
    assert sizes["pendulum-noise0.1"] == (0.1, 0, 0, 1)
    assert sizes["pendulum-p-dropout0.2"] == (0, 0.2, 0, 1)
    assert sizes["cartpole-continuous-delay2"] == (0, 0, 2, 1)
    assert sizes["pendulum-repeat4"] == (0, 0, 0, 4)
