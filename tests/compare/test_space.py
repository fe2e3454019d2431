"""Spaces: what their files may say, what a trial binds, and what is refused before any trial."""

import re
from pathlib import Path

import pytest

from offpcc.compare.search.space import Choices, Range, read_space
from offpcc.config.catalog import spaces
from offpcc.config.locations import CONFIGS

HEAD = 'env = "pendulum-p-v0"\nalgo = "rsac"\nsteps = 900\ntrials = 4\n'
TAU = "[space]\ntau = {low = 0.1, high = 0.2}\n"


def write(folder: Path, text: str, head: str = HEAD) -> str:
    path = folder / "mine.toml"
    path.write_text(head + text)
    return str(path)


def test_a_space_has_ranges_and_choices_by_the_names_of_settings(tmp_path: Path) -> None:
    space = read_space(
        write(
            tmp_path,
            """[space]
            learning_rate = {low = 1e-4, high = 1e-2, log = true}
            memory_hidden_size = {low = 8, high = 32, step = 8}
            "SAC.tau" = {low = 0, high = 0.5}
            SAC.discount = {low = 0.9, high = 0.99}
            hidden_sizes = {choices = [[8, 8], [16]]}
            """,
        )
    )
    assert space.settings == {
        "learning_rate": Range(1e-4, 1e-2, log=True),
        "memory_hidden_size": Range(8, 32, step=8),
        "SAC.tau": Range(0, 0.5),
        "SAC.discount": Range(0.9, 0.99),
        "hidden_sizes": Choices([[8, 8], [16]]),
    }
    assert [each.whole for each in space.settings.values() if isinstance(each, Range)] == [
        False, True, False, False,
    ]  # fmt: skip
    assert (space.name, space.last_evaluations, space.warmup_steps) == ("mine", 5, 225)


def test_choices_are_written_as_a_config_reads_them() -> None:
    assert Choices([[8, 8], "None", "@GRU", "ou", True, 0.5]).ends == [
        "[8, 8]", "None", "@GRU", "'ou'", "True", "0.5",
    ]  # fmt: skip


def test_a_trials_runs_differ_in_seed_alone_and_lie_in_folders_of_their_own(tmp_path: Path) -> None:
    space = read_space(write(tmp_path, f"seeds = 2\nbind = ['discount = 0.9']\n{TAU}"), seed=7)
    first, second = space.requests({"tau": 0.125}, 3, ["device = 'cpu'"], results=tmp_path)
    assert first.bind == second.bind
    assert first.bind == ["device = 'cpu'", "steps = 900", "discount = 0.9", "tau = 0.125"]
    assert (first.seed, second.seed) == (7, 8)
    assert first.folder.path == tmp_path / "pendulum-p-v0/rsac/3-7"
    assert read_space(write(tmp_path, TAU)).requests({"tau": 0.1}, 3)[0].run_id == "3"


def test_the_command_may_ask_for_other_steps_and_another_seed(tmp_path: Path) -> None:
    space = read_space(write(tmp_path, TAU), steps=300, seed=0)
    assert (space.steps, space.seed) == (300, 0)
    with pytest.raises(ValueError, match="steps is 0; it must be at least 1"):
        read_space(write(tmp_path, TAU), steps=0)


def test_a_config_beside_the_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "own.gin").write_text("tau = 0.5\ndiscount = 0.75\n")
    space = read_space(write(tmp_path, f'config = "own.gin"\n{TAU}'))
    assert space.check().values["SAC.discount"] == 0.75


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[space]", r"mine.toml: \[space\] is empty"),
        ("", "mine.toml: space is missing"),
        ("x = [", "mine.toml: Invalid value"),
        (f"trails = 3\n{TAU}", "unknown key 'trails'; did you mean trials"),
        (f"pruner = 'hyperband'\n{TAU}", "pruner is 'hyperband'; it must be 'median' or 'none'"),
        ("[space]\ntau = 3", r"\[space\] tau is 3; it is {low = …, high = …} or {choices = \[…\]}"),
        ("[space]\ntau = {low = 1, hi = 2}", r"\[space\] tau: unknown key 'hi'; did you mean high"),
        ("[space]\ntau = {low = 2, high = 1}", "low is 2 and high 1; low must be below high"),
        ("[space]\ntau = {low = 0, high = 1, log = true}", "low is 0; with log it must be above 0"),
        ("[space]\ntau = {low = 1, high = 9, log = true, step = 2}", "log and step do not go"),
        ("[space]\ntau = {low = 8, high = 17, step = 4}", "4 does not divide 17 - 8"),
        ("[space]\ntau = {low = 8, high = 17, step = 0}", "step is 0; it must be above 0"),
        ("[space]\ntau = {low = nan, high = 1}", "low is nan; it must be finite"),
        ("[space]\ntau = {choices = []}", "choices must be one at least"),
        ("[space]\ntau = {choices = [1, 1]}", "no two alike"),
        ("[space]\n'a tau' = {low = 1, high = 2}", "a tau: no setting has such a name"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_in_one_line(
    text: str, line: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=line) as raised:
        read_space(write(tmp_path, text))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("lr = {low = 1e-4, high = 1e-2}", "lr = 0.0001: unknown setting 'lr'; here it is called"),
        ("learning_rate = {low = 1e-4, high = 2}", r"learning_rate = 2.0:.* must lie in \[0, 1\]"),
        ("learning_rate = {low = -1e-4, high = 1}", r"learning_rate = -0.0001:.* in \[0, 1\]"),
        ("memory_hidden_size = {low = 8.0, high = 9.0}", "not a whole number; write 8"),
        ("hidden_sizes = {choices = [[8], 'big', [9]]}", "hidden_sizes = 'big':.*not a list of"),
        ("TD3.tau = {low = 0.1, high = 0.2}", "the run makes no @TD3"),
        ("steps = {low = 800, high = 900}", "steps is in .space., and a key of its own"),
        ("eval_episodes = {choices = [1, 2]}", "eval_episodes changes Evaluator.episodes; trials"),
        ("Training.eval_interval = {choices = [1, 2]}", "changes Training.eval_interval"),
        ("buffer_size = {low = 100, high = 1000}", "buffer_size of 100 does not hold"),
    ],
)
def test_what_no_trial_could_be_trained_with_is_refused_before_the_first(
    text: str, line: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=line) as raised:
        read_space(write(tmp_path, f"[space]\n{text}")).check()
    assert re.match("mine.toml: ", str(raised.value)) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("bind", "line"),
    [
        ("['tau = 0.1']", "tau is in .space., and bound as well"),
        ("['discount = 0.1', 'discount = 0.2']", "discount is bound twice"),
        ("['eval_episodes = 0']", "eval_episodes is 0; a score is of evaluations"),
    ],
)
def test_lines_that_a_search_cannot_have_are_refused(bind: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=line):
        read_space(write(tmp_path, f"bind = {bind}\n{TAU}")).check()


def test_only_a_space_is_found() -> None:
    with pytest.raises(ValueError, match="unknown space 'pendulum'; did you mean pendulum-p"):
        read_space("pendulum")


@pytest.mark.parametrize("name", spaces())
def test_every_space_of_ours_can_be_searched(name: str) -> None:
    space = read_space(name)
    space.check()
    assert (CONFIGS / "tune" / f"{name}.toml").is_file()
