"""Learning from episodes on the disk, without a step of any environment."""

import re
from pathlib import Path

import numpy as np
import pytest
from children import tiny
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

import offpcc
from offpcc.deploy.demonstrate import demonstrate, record_data
from offpcc.envs.make_env import make_env
from offpcc.envs.space_adapter import SpaceAdapter
from offpcc.envs.vector import SequentialEnvs
from offpcc.errors import ConfigError
from offpcc.training.dataset import Dataset, read_episodes

ENV = "cartpole-continuous-p-v0"
OFFLINE = "learning_starts = 0\nsteps = 40\neval_interval = 20\nbuffer_size = 5_000\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    config = tiny(folder, "steps = 60\neval_interval = 60\nlearning_starts = 20")
    return offpcc.run(ENV, "sac", config=config, seed=1, results=folder).path


@pytest.fixture
def minari_here(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))


def adapter_of(env: str = ENV, **settings: bool) -> SpaceAdapter:
    return make_env(env, **settings).space_adapter


def same(one, other) -> bool:
    parts = ("action", "reward")
    alike = all(np.allclose(getattr(one, k), getattr(other, k), atol=1e-6) for k in parts)
    keys = one.observation.keys() == other.observation.keys()
    seen = all(np.array_equal(v, other.observation[k]) for k, v in one.observation.items())
    return alike and keys and seen and one.terminated == other.terminated


def test_recorded_episodes_come_back_as_they_were_played(trained, minari_here) -> None:
    said = record_data(trained, 7)
    name = "cartpole-continuous-p/sac-1-v0"
    episodes = read_episodes(name, adapter_of()).episodes
    assert f"{name}: {sum(map(len, episodes))} steps of 7 episodes" in said
    for episode in episodes:
        assert episode.terminated and len(episode) < 200
        x, angle = episode.observation["observation"].T
        assert np.array_equal(episode.reward, np.ones(len(episode)))
        assert abs(x[-1]) > 2.4 or abs(angle[-1]) > 0.2094
    assert len({len(e) for e in episodes}) > 1
    with pytest.raises(ValueError, match=f"there is a data set {name}; `minari delete"):
        record_data(trained, 1)


def test_a_recorded_policy_is_drawn_and_repeats_itself(trained, tmp_path, monkeypatch) -> None:
    found = []
    for place in ("a", "b"):
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / place))
        record_data(trained, 2)
        found.append(read_episodes("cartpole-continuous-p/sac-1-v0", adapter_of()).episodes)
    assert all(same(*pair) for pair in zip(*found, strict=True))
    demonstrate(trained, 2)
    greedy = read_episodes(str(trained / "demonstrations"), adapter_of()).episodes
    starts = [episodes[0].observation["observation"][0] for episodes in (greedy, found[0])]
    assert np.array_equal(*starts)
    assert abs(greedy[0].action[0] - found[0][0].action[0]) > 1e-3


def test_the_arrays_of_a_folder_are_cut_into_the_same_episodes(trained, minari_here) -> None:
    demonstrate(trained, 5)
    folder = trained / "demonstrations"
    episodes = read_episodes(str(folder), adapter_of()).episodes
    assert len(episodes) == 5 and all(e.terminated for e in episodes)
    joined = np.concatenate([e.observation["observation"][:-1] for e in episodes])
    assert np.array_equal(joined, np.load(folder / "obs.npy"))
    assert [e.observation["observation"][-1].tolist() for e in episodes] == [
        row.tolist()
        for row, end in zip(
            np.load(folder / "next_obs.npy"), np.load(folder / "terminated.npy"), strict=True
        )
        if end
    ]


def arrays(folder: Path, **changed: np.ndarray) -> str:
    """Two segments of two and three steps that do not go on into each other."""
    obs = np.array([[0, 0], [1, 0], [5, 0], [6, 0], [7, 0]], np.float32)
    parts = {
        "obs": obs,
        "next_obs": obs + np.array([1, 0], np.float32),
        "action": np.linspace(-1, 1, 5)[:, None],
        "reward": np.arange(5.0),
        "terminated": np.array([0, 0, 0, 0, 1], bool),
        "truncated": np.zeros(5, bool),
    }
    for name, values in (parts | changed).items():
        np.save(folder / f"{name}.npy", values)
    return str(folder)


def test_a_row_that_does_not_go_on_begins_another_segment_that_is_no_true_end(tmp_path) -> None:
    first, second = read_episodes(arrays(tmp_path), adapter_of()).episodes
    assert first.observation["observation"][:, 0].tolist() == [0, 1, 2]
    assert second.observation["observation"][:, 0].tolist() == [5, 6, 7, 8]
    assert (first.terminated, second.terminated) == (False, True)
    assert second.reward.tolist() == [2, 3, 4]


def test_rows_at_the_end_that_say_nothing_of_an_end_are_a_segment(tmp_path) -> None:
    found = read_episodes(arrays(tmp_path, terminated=np.zeros(5, bool)), adapter_of()).episodes
    assert [(len(e), e.terminated) for e in found] == [(2, False), (3, False)]


def test_a_cut_that_no_flag_explains_is_told(tmp_path) -> None:
    recorded = read_episodes(arrays(tmp_path), adapter_of())
    assert recorded.cuts == 1
    assert str(recorded) == (
        "2 episodes of 2 to 3 steps (median 2.5); 1 cuts that no flag explains: there, next_obs is "
        "not the next obs"
    )
    flagged = read_episodes(arrays(tmp_path, truncated=np.array([0, 1, 0, 0, 0])), adapter_of())
    assert (len(flagged.episodes), flagged.cuts) == (2, 0)


def test_a_flag_cuts_where_the_next_row_goes_on_by_chance(tmp_path) -> None:
    found = read_episodes(arrays(tmp_path, truncated=np.array([0, 0, 1, 0, 0])), adapter_of())
    assert [len(e) for e in found.episodes] == [2, 1, 2]


def test_rows_are_compared_as_they_are_stored_and_not_by_their_types(tmp_path) -> None:
    random = np.random.default_rng(0)
    seen = random.normal(size=(10, 21, 2))
    last = np.arange(200) % 20 == 19
    source = arrays(
        tmp_path,
        obs=seen[:, :-1].reshape(-1, 2),
        next_obs=seen[:, 1:].reshape(-1, 2).astype(np.float32),
        action=random.uniform(-1, 1, (200, 1)),
        reward=random.normal(size=200),
        terminated=np.zeros(200),
        truncated=last,
    )
    recorded = read_episodes(source, adapter_of())
    assert str(recorded) == "10 episodes of 20 steps (median 20)"
    for episode, result in zip(recorded.episodes, seen, strict=True):
        np.testing.assert_allclose(episode.observation["observation"], result, rtol=1e-6)
    np.save(tmp_path / "truncated.npy", np.zeros(200))
    assert read_episodes(source, adapter_of()).cuts == 9  # the last row of all ends anyway


def test_a_difference_of_rounding_is_none_and_one_of_a_thousandth_is(tmp_path) -> None:
    obs = np.array([[0, 0], [1, 0], [5, 0], [6, 0], [7, 0]], np.float32)
    after = obs + np.array([1, 0], np.float32)
    for change, lengths in ((1 + 1e-6, [2, 3]), (1 + 1e-3, [1, 1, 1, 1, 1])):
        found = read_episodes(arrays(tmp_path, next_obs=after * np.float32(change)), adapter_of())
        assert [len(e) for e in found.episodes] == lengths


def test_rows_without_any_order_are_told(tmp_path) -> None:
    shuffled = np.arange(10.0).reshape(5, 2)
    source = arrays(tmp_path, obs=shuffled, next_obs=shuffled + 0.5)
    assert str(read_episodes(source, adapter_of())).endswith(
        "4 cuts that no flag explains: there, next_obs is not the next obs; no episode is longer "
        "than one step, so no memory has anything to hold"
    )


def test_the_agents_own_past_is_made_of_the_data(tmp_path) -> None:
    space_adapter = adapter_of(previous_action=True, previous_reward=True)
    second = read_episodes(arrays(tmp_path), space_adapter).episodes[1]
    assert second.observation["previous_action"].ravel().tolist() == [0, 0, 0.5, 1]
    assert second.observation["previous_reward"].ravel().tolist() == [0, 2, 3, 4]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"obs": np.zeros((5, 3)), "next_obs": np.ones((5, 3))}, r"has shape \(3,\); its space"),
        (
            {"action": np.zeros((5, 2))},
            r"actions have shape \(2,\); this environment's have \(1,\)",
        ),
        ({"next_obs": np.ones((5, 3))}, r"obs has shape \(5, 2\), and next_obs \(5, 3\)"),
        ({"reward": np.full(5, np.nan)}, "not all rewards are finite"),
        ({"reward": np.full(5, 1e39)}, "not all rewards are finite as float32"),
        ({"next_obs": np.full((5, 2), 1e39)}, r"observation is \[1.e\+39"),
        ({"reward": np.zeros(4)}, "the arrays have different lengths"),
        ({"reward": np.zeros((5, 1))}, r"are \(N,\), of at least one row"),
        ({"action": np.full((5, 1), 7.0)}, "actions lie beyond ±1"),
    ],
)
def test_arrays_that_are_not_of_this_environment_are_refused(tmp_path, changed, said) -> None:
    with pytest.raises(ValueError, match=said):
        read_episodes(arrays(tmp_path, **changed), adapter_of())


@pytest.mark.parametrize(("source", "said"), [("", "dataset is not set"), ("no/one-v0", "'no/one")])
def test_what_is_no_data_set_is_refused(source, said) -> None:
    with pytest.raises(ValueError, match=said):
        read_episodes(source, adapter_of())


def test_flags_may_be_numbers_and_no_rows_are_refused(tmp_path) -> None:
    numbers = arrays(tmp_path, terminated=np.array([0.0, 1.0, 0.0, 0.0, 1.0]))
    assert [e.terminated for e in read_episodes(numbers, adapter_of()).episodes] == [True, True]
    names = ("obs", "next_obs", "action", "reward", "terminated", "truncated")
    none = {name: np.zeros((0, 2))[:, 0] for name in names}
    with pytest.raises(ValueError, match="of at least one row"):
        read_episodes(arrays(tmp_path, **none), adapter_of())


def test_arrays_are_of_plain_numbers_alone(tmp_path) -> None:
    space_adapter = SpaceAdapter(Dict({"a": Box(-1, 1, (2,))}), Box(-1, 1, (1,)))
    with pytest.raises(ValueError, match="use --record-data"):
        read_episodes(arrays(tmp_path), space_adapter)


def test_choices_in_arrays_are_one_hot(tmp_path) -> None:
    space_adapter = SpaceAdapter(Box(-9, 9, (2,)), Discrete(2))
    with pytest.raises(ValueError, match="not one-hot"):
        read_episodes(arrays(tmp_path, action=np.full((5, 2), 0.5)), space_adapter)
    hot = np.eye(2)[[0, 1, 1, 0, 1]]
    first, _ = read_episodes(arrays(tmp_path, action=hot), space_adapter).episodes
    assert np.array_equal(first.action, hot[:2])


@pytest.mark.parametrize(
    ("space", "raw"),
    [
        (Discrete(2), np.zeros((3, 1))),
        (Discrete(2), np.array([0, 1, 2])),
        (Discrete(2), np.array([-1, 0, 1])),
        (Discrete(2), np.array([0.5, 0.0, 1.0])),
        (MultiDiscrete([2, 4]), np.array([[1, 3], [2, 3]])),
        (Box(-1, 1, (3,)), np.zeros((3, 1))),
        (Box(-1, 1, (1,)), np.zeros(3)),
    ],
    ids=str,
)
def test_actions_of_another_space_are_refused(space, raw) -> None:
    with pytest.raises(ValueError, match="actions"):
        SpaceAdapter(Box(-1, 1, (1,)), space).agents(raw)


def test_all_episodes_come_at_the_first_step_and_none_after_it(tmp_path) -> None:
    dataset = Dataset(SequentialEnvs([make_env(ENV)]), arrays(tmp_path))
    assert [len(e) for e in dataset.step()] == [2, 3]
    assert dataset.step() == [] and dataset.steps == 2
    again = Dataset(SequentialEnvs([make_env(ENV)]), arrays(tmp_path))
    again.load_state_dict(dataset.state_dict())
    assert again.step() == [] and again.steps == 3


SPACES = [
    Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 5.0], np.float32)),
    Box(-1, 3, (2, 2), np.float64),
    Discrete(3, start=2),
    MultiDiscrete([2, 4]),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_the_environment_s_actions_and_the_agent_s_are_each_other_s_way_back(space) -> None:
    space.seed(0)
    space_adapter = SpaceAdapter(Box(-1, 1, (1,)), space)
    raw = np.stack([space.sample() for _ in range(20)])
    held = space_adapter.agents(raw)
    assert held.shape == (20, space_adapter.spec.action) and np.abs(held).max() <= 1
    np.testing.assert_allclose(space_adapter.raw(held), raw, atol=1e-6)


def test_observations_come_back_in_the_environment_s_own_types() -> None:
    space = Dict({"a": Box(-1, 1, (2, 2), np.float64), "b": Discrete(4, start=1)})
    space.seed(0)
    space_adapter = SpaceAdapter(space, Box(-1, 1, (1,)), previous_action=True)
    result = [space.sample() for _ in range(5)]
    back = space_adapter.env_observations([space_adapter.first(each) for each in result])
    assert back.keys() == {"a", "b"} and back["a"].dtype == np.float64
    assert back["b"].tolist() == [each["b"] for each in result]
    np.testing.assert_allclose(back["a"], [each["a"] for each in result], atol=1e-6)


# Runs


@pytest.mark.parametrize("algo", ["td3_bc", "rtd3_bc", "rsac"])
def test_a_run_learns_from_it_and_steps_no_environment_to_train(trained, tmp_path, algo, capsys):
    demonstrate(trained, 3)
    more = f"dataset = {str(trained / 'demonstrations')!r}\n" + OFFLINE
    run = offpcc.run(ENV, algo, config=tiny(tmp_path, more), seed=1, results=tmp_path)
    (first, *rest) = (run.path / "progress.csv").read_text().splitlines()[1:]
    steps = len(np.load(trained / "demonstrations" / "obs.npy"))
    assert float(first.split(",")[3]) == pytest.approx(steps / 3), "the data's own return"
    assert all(line.split(",")[3] == "" for line in rest)
    assert run.read()["final"]["env_steps"] == 40
    result = capsys.readouterr().out.splitlines()
    assert re.match(
        r".*/demonstrations: 3 episodes of [\d to]+ steps \(median [\d.]+\)$", result[1]
    )


def test_a_data_set_that_does_not_fit_or_is_not_for_rollouts_is_refused(trained, tmp_path) -> None:
    demonstrate(trained, 3)
    more = f"dataset = {str(trained / 'demonstrations')!r}\n"
    for algo, extra, said in (
        ("sac", "buffer_size = 10", r"the data set has \d+ steps; raise buffer_size, 10"),
        ("ppo", "", "no likelihoods"),
        ("rsac", "store_states = 5", "no likelihoods or stored states"),
    ):
        config = tiny(tmp_path, more + extra)
        with pytest.raises(ConfigError, match=said):
            offpcc.run(ENV, algo, config=config, results=tmp_path)
