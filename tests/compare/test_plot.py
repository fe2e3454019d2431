"""Runs on the disk become curves, tables and profiles: what is counted, and how."""

import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offpcc.compare.plot import (
    Run,
    aggregate,
    aggregate_table,
    at_equal_time,
    cost_table,
    find_runs,
    learning_curves,
    performance_profiles,
    plot,
    table,
)
from offpcc.compare.plot.curves import aligned
from offpcc.compare.plot.picture import COLOURS, STYLES
from offpcc.compare.plot.profiles import THRESHOLDS, normalised, profile
from offpcc.compare.plot.statistics import (
    bootstrap,
    interquartile_mean,
    mean,
    mean_improvement,
    pooled_interquartile_mean,
    probability_of_improvement,
    resample,
    stratified,
)


def make(returns: Sequence[float], algo: str = "rsac", env: str = "pendulum", **more: Any) -> Run:
    """A run that was evaluated every 1,000 steps and every 30 seconds."""
    steps = 1000.0 * np.arange(1, len(returns) + 1)
    columns = {"env_steps": steps, "seconds": steps * 0.03, "test_return": np.array(returns)}
    return Run(env, algo, "1", columns, **more)


def make_on(steps: Sequence[float], returns: Sequence[float]) -> Run:
    columns = {"env_steps": np.array(steps), "test_return": np.array(returns)}
    return Run("pendulum", "rsac", "1", columns)


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "progress.csv").write_text(text)
    return folder


def write_results(folder: Path) -> Path:
    """Two environments, two algorithms, two runs each; RSAC ends 10 above SAC."""
    for env in ("pendulum", "cartpole"):
        for algo, level in (("rsac", 20.0), ("sac", 10.0)):
            for k in (1, 2):
                rows = [f"{1000 * t},{30 * t},{level + k + t / 10}\n" for t in range(1, 6)]
                run = folder / env / algo / str(k)
                write(run, "env_steps,seconds,test_return\n" + "".join(rows))
                (run / "run.json").write_text(json.dumps({"eval_episodes": 10}))
    return folder


# Reading


@pytest.mark.parametrize(
    ("path", "number"), [("", 8), ("pendulum", 4), ("pendulum/sac", 2), ("pendulum/sac/2", 1)]
)
def test_runs_are_found_from_every_level(tmp_path, path, number):
    assert len(find_runs([write_results(tmp_path) / path])) == number


def test_a_run_is_named_by_its_folders_and_counted_once(tmp_path):
    write_results(tmp_path)
    folder = tmp_path / "pendulum" / "sac" / "2"
    (run,) = find_runs([folder, str(folder)])
    assert (run.env, run.algo, run.run_id) == ("pendulum", "sac", "2")
    assert run.eval_episodes == 10


def test_empty_cells_are_nan_and_rows_without_an_evaluation_are_no_points(tmp_path):
    text = "env_steps,seconds,test_return\n1000,30,\n2000,60,5.5\n3000,90,nan\n"
    (run,) = find_runs([write(tmp_path / "e" / "a" / "1", text)])
    steps, returns = run.curve("env_steps")
    assert steps.tolist() == [2000.0]
    assert returns.tolist() == [5.5]


def test_a_byte_order_mark_at_a_files_beginning_is_no_part_of_it(tmp_path):
    folder = write(tmp_path / "e" / "a" / "1", "\ufeffenv_steps,seconds,test_return\n1,2,3.5\n")
    (folder / "run.json").write_text('\ufeff{"eval_episodes": 7}')
    (run,) = find_runs([folder])
    assert (run.columns["env_steps"].tolist(), run.eval_episodes) == ([1.0], 7)


def test_a_line_torn_by_a_kill_does_not_count(tmp_path):
    text = "env_steps,seconds,test_return\n1000,30,1.5\n2000,60,2"  # perhaps it was 250
    (run,) = find_runs([write(tmp_path / "e" / "a" / "1", text)])
    assert run.columns["test_return"].tolist() == [1.5]


@pytest.mark.parametrize("text", ["", "env_st", "env_steps,seconds,test_return\n"])
def test_a_run_without_an_evaluation_is_left_out_and_named(tmp_path, caplog, text):
    write_results(tmp_path)
    write(tmp_path / "pendulum" / "ddpg" / "7", text)
    with caplog.at_level(logging.WARNING):
        assert len(find_runs([tmp_path])) == 8
    assert str(Path("pendulum") / "ddpg" / "7") in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("env_steps,seconds,test_return\n1,2,3\n1,x,3\n", "line 3: could not convert"),
        ("env_steps,seconds,test_return\n1,2\n", "line 2: 2 cells for 3 columns"),
        ("step,loss\n1,2\n", "no columns"),
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"progress.csv.*{message}"):
        find_runs([write(tmp_path / "e" / "a" / "1", text)])


def test_runs_that_start_from_others_have_a_curve_of_their_own(tmp_path):
    facts = {"eval_episodes": 10, "init_from": {"path": "somewhere", "algo": "td3"}}
    write_results(tmp_path)
    (tmp_path / "pendulum" / "sac" / "1" / "run.json").write_text(json.dumps(facts))
    runs = find_runs([tmp_path / "pendulum" / "sac"])
    assert sorted(run.algo for run in runs) == ["sac", "sac from td3"]


def test_a_broken_run_json_is_refused_by_name(tmp_path):
    write_results(tmp_path)
    (tmp_path / "pendulum" / "sac" / "1" / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json is not JSON, or cut short"):
        find_runs([tmp_path])


def test_no_runs_is_an_error_that_says_what_a_run_is(tmp_path):
    with pytest.raises(ValueError, match="<env>/<algo>/<run_id>"):
        find_runs([tmp_path])
    with pytest.raises(ValueError, match="not a folder"):
        find_runs([tmp_path / "nowhere"])
    write(tmp_path / "e" / "a" / "1", "")
    with pytest.raises(ValueError, match="none of the 1 runs"):
        find_runs([tmp_path])


# Statistics


def test_the_final_return_is_over_the_last_tenth_of_the_evaluations():
    assert make(list(range(20))).final_return() == 18.5  # (18 + 19) / 2
    assert make([1.0, 2.0, 7.0]).final_return() == 7.0  # one at least


def test_the_interquartile_mean_cuts_a_quarter_at_each_end():
    assert interquartile_mean(np.array([100.0, 10, 20, 0])) == 15  # (10 + 20) / 2
    assert interquartile_mean(np.array([0.0, 1, 2, 3, 1000])) == 2  # (1 + 2 + 3) / 3
    assert interquartile_mean(np.array([0.0, 1, 8])) == 3  # of three nothing is cut


def test_the_bootstrap_interval_of_many_runs_is_the_normal_one():
    # 0 … 99: mean 49.5, standard deviation 28.87; 49.5 ± 1.96 · 28.87 / 10 is 43.84 … 55.16.
    low, high = bootstrap(np.arange(100.0), mean)
    assert low == pytest.approx(43.84, abs=0.4)
    assert high == pytest.approx(55.16, abs=0.4)


def test_the_bootstrap_interval_of_two_runs_spans_both():
    # A quarter of the resamples draws the same run twice, at either end.
    low, high = bootstrap(np.array([[0.0, 1.0], [5.0, 5.0]]), mean)
    assert low.tolist() == [0.0, 5.0]
    assert high.tolist() == [1.0, 5.0]


def test_one_run_has_no_interval():
    low, high = bootstrap(np.zeros((3, 1)), mean)
    assert np.isnan(low).all()
    assert low.shape == high.shape == (3,)


def test_resampling_draws_whole_runs():
    scores = np.array([[1.0, 2, 3], [10, 20, 30]])  # the second point is ten times the first
    drawn = resample(scores, np.random.default_rng(0))
    assert drawn.shape == (2000, 2, 3)
    assert np.array_equal(drawn[:, 1], 10 * drawn[:, 0])


def test_probability_of_improvement_counts_pairs_and_half_of_ties():
    # 1 < 2, 1 < 3, 3 > 2, 3 = 3: (0 + 0 + 1 + 1/2) / 4
    assert probability_of_improvement(np.array([1.0, 3]), np.array([2.0, 3])) == 0.375
    low, high = stratified(mean_improvement, [np.array([3.0, 4])], [np.array([1.0, 2])])
    assert low == high == 1
    alone = stratified(mean_improvement, [np.array([3.0])], [np.array([1.0, 2])])
    assert np.isnan(alone).all()


# Scores of two algorithms on tasks, as (tasks, runs); rliable takes (runs, tasks).
OURS = (
    [
        [0.12, 0.34, 0.29, 0.81, 0.05],
        [0.55, 0.47, 0.61, 0.52, 0.58],
        [0.91, 0.88, 0.35, 0.97, 0.93],
    ],
    [[0.20, 0.40, 0.10, 0.90, 0.60, 0.50], [0.75, 0.65, 0.95, 0.30, 0.85, 0.45]],
)
THEIRS = (
    [[0.22, 0.30, 0.19, 0.41], [0.50, 0.47, 0.40, 0.52], [0.71, 0.80, 0.99, 0.60]],
    [[0.30, 0.15, 0.25, 0.55, 0.05, 0.35], [0.70, 0.60, 0.95, 0.50, 0.35, 0.20]],
)


@pytest.mark.parametrize(
    ("ours", "theirs", "iqms", "iqm_ends", "chance", "chance_ends", "shares"),
    [
        (
            *(OURS[0], THEIRS[0], (0.5677777777777778, 0.4833333333333334)),
            *((0.42888889, 0.70111111), 0.6333333333333333, (0.41666667, 0.84166667)),
            (0.8666666666666667, 0.6, 0.3333333333333333),
        ),
        (
            *(OURS[1], THEIRS[1], (0.5583333333333333, 0.3833333333333333)),
            *((0.375, 0.75), 0.6597222222222222, (0.41666667, 0.875)),
            (0.8333333333333334, 0.5, 0.25),
        ),
    ],
)
def test_numbers_over_tasks_are_rliables(ours, theirs, iqms, iqm_ends, chance, chance_ends, shares):
    # From rliable 1.2.0: metrics.aggregate_iqm and metrics.probability_of_improvement of the
    # transposed tables, library.get_interval_estimates with 50,000 and 20,000 resamples, and
    # library.create_performance_profile at τ 0.25, 0.5 and 0.75.
    x, y = [np.array(scores) for scores in ours], [np.array(scores) for scores in theirs]
    assert pooled_interquartile_mean(x) == pytest.approx(iqms[0], abs=1e-12)
    assert pooled_interquartile_mean(y) == pytest.approx(iqms[1], abs=1e-12)
    assert mean_improvement(x, y) == pytest.approx(chance, abs=1e-12)
    assert profile(x)[[50, 100, 150]] == pytest.approx(shares, abs=1e-12)
    # A 2.5 % quantile of 2,000 resamples is known to about ±0.35 %.
    assert stratified(pooled_interquartile_mean, x) == pytest.approx(iqm_ends, abs=0.02)
    assert stratified(mean_improvement, x, y) == pytest.approx(chance_ends, abs=0.02)


def test_tasks_with_fewer_runs_weigh_as_much_as_others():
    # Each run of the first counts twice: of 0 0 1 1 and 5 6 7 8 the middle is 1 1 5 6.
    assert pooled_interquartile_mean([np.array([0.0, 1]), np.array([5.0, 6, 7, 8])]) == 3.25


def test_a_run_may_be_judged_at_a_time_that_all_runs_of_its_environment_reached():
    slow, quick = make(list(range(40))), make([5.0] * 20, "sac")  # an evaluation every 30 s
    slow, quick = at_equal_time([slow, quick])
    # To 600 s, of which the last tenth holds the 19th and the 20th.
    assert (slow.final_return(), slow.end("env_steps"), slow.end("seconds")) == (18.5, 20_000, 600)
    assert quick.final_return() == 5.0
    assert "last 10 % of the time that all runs" in table([slow, quick])
    assert replace(slow, horizon=31.0).final_return() == 0.0  # the last one before it
    with pytest.raises(ValueError, match="pendulum/rsac/1 has no evaluation in its first 20 s"):
        replace(slow, horizon=20.0).final_return()


def test_the_aggregate_compares_what_it_is_asked_to_and_names_who_is_left_out(tmp_path):
    runs = [make([1.0], "c", "x")]
    for env in "xy":
        for k in range(4):
            runs += [make([k / 4], "a", env), make([k / 4 + 1], "b", env)]
    text = aggregate_table(runs, [("c", "a"), ("c", "d")])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    # Of y: a has 0 … 0.75 and b 1 … 1.75, of 1.75; so has x. Half of a is 1/4 and 2/4, mean 3/8.
    assert rows[2][0] == "b" and rows[2][1].startswith(f"{1.375 / 1.75:.2f} [")
    assert rows[3][0] == "a" and rows[3][1].startswith(f"{0.375 / 1.75:.2f} [")
    assert ["c", "a", "1", "1.00"] in rows and not [row for row in rows if "d" in row]
    picture = " ".join(aggregate(runs, tmp_path / "all.svg").read_text().split())
    assert "b &gt; a" in picture and "2 environments, 4 runs in each" in picture
    assert "as not run everywhere: c." in picture


def test_curves_are_drawn_only_where_all_runs_have_been():
    runs = [make_on([0, 10, 20], [0, 10, 20]), make_on([5, 15], [100, 200])]
    grid, returns = aligned(runs, "env_steps")
    assert grid.tolist() == [5, 10, 15]
    assert returns.tolist() == [[5, 100], [10, 150], [15, 200]]


def test_runs_without_a_common_range_have_no_curve():
    grid, returns = aligned([make_on([0, 1], [0, 0]), make_on([2, 3], [0, 0])], "env_steps")
    assert grid.shape == (0,)
    assert returns.shape == (0, 2)


def test_returns_are_normalised_by_the_worst_and_best_run_of_an_environment():
    runs = [make([-10.0], "a"), make([0.0], "a"), make([10.0], "b"), make([3.0], "a", "other")]
    scores = normalised(runs)
    assert scores["pendulum"]["a"].tolist() == [0.0, 0.5]
    assert scores["pendulum"]["b"].tolist() == [1.0]
    assert scores["other"]["a"].tolist() == [1.0], "none is worse than the best"


@pytest.mark.parametrize(("runs", "said"), [(1, "A single run has"), (4, "fewer than 5"), (5, "")])
def test_a_table_says_which_intervals_are_too_narrow(runs, said):
    text = table([make([float(k)], "a") for k in range(runs)])
    assert said in text
    assert ("too narrow" in text) == bool(said)


def test_a_profile_weighs_environments_alike():
    # Above 0.3: one of two, and all of one: (1/2 + 1) / 2. Above 0: the same; 0 is not above 0.
    shares = profile([np.array([0.0, 0.5]), np.array([0.4])])
    assert shares[np.isclose(THRESHOLDS, 0.3)] == 0.75
    assert shares[0] == 0.75
    assert shares[np.isclose(THRESHOLDS, 0.45)] == 0.25  # (1/2 + 0) / 2
    assert shares[-1] == 0.0


# Table


def test_the_table_gives_runs_scores_steps_and_minutes_best_first():
    runs = [make([1.0], "sac"), make([4.0, 3.0], "sac"), make([5.0], "rsac")]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table(runs).split("\n")]
    # 1,000 steps take 30 s; SAC: (1 + 3) / 2, and the interval of two runs spans both.
    assert lines[2] == ["pendulum", "rsac", "1", "5.00", "5.00", "1,000", "0.5"]
    ends = "2.00 [1.00, 3.00]"
    assert lines[3] == ["pendulum", "sac", "2", ends, ends, "1,000 to 2,000", "0.5 to 1.0"]
    assert ["pendulum", "rsac", "sac", "1.00"] in lines


def test_runs_that_were_made_in_several_ways_are_named_by_the_table():
    made = [{"precision": p, "instructions": "AVX2"} for p in ("bf16", "bf16", "fp32")]
    plain = [make([1.0], algo, made=how) for algo, how in zip("abc", made, strict=True)]
    assert "Not all runs have the same precision: bf16 (a; b), fp32 (c).\n" in table(plain)
    assert "instructions" not in table(plain)
    parted = [*plain, make([1.0], "c", "cartpole", made=made[0])]
    assert "bf16 (a; b; c in cartpole), fp32 (c in pendulum)" in table(parted)
    single = [*plain, replace(plain[2], run_id="2", made=made[0])]
    assert "bf16 (a; b; c in pendulum (2)), fp32 (c in pendulum (1))" in table(single)
    assert "Not all" not in table([*plain[:2], make([1.0], "old")]), "it is not known"


def test_a_run_that_went_on_in_another_way_is_another_kind(tmp_path):
    folder = write(tmp_path / "env" / "rsac" / "1", "env_steps,seconds,test_return\n1,2,3\n")
    result = {"precision": "bf16", "cpu": "AVX512", "processor": "X"}
    resumes = [{"step": 1}, {"step": 2, "precision": "fp32", "cpu": "AVX2"}, {"step": 3}]
    (folder / "run.json").write_text(json.dumps(result | {"resumes": resumes}))
    assert find_runs([tmp_path])[0].made == {
        "precision": "bf16, then fp32, then bf16",
        "instructions": "AVX512, then AVX2, then AVX512",
        "processor": "X",
    }


def test_the_cost_of_a_return_is_the_median_of_the_first_evaluations_at_or_above_it():
    runs = [make([1.0, 4.0, 0.0], "sac"), make([0.0, 0.0, 4.0], "sac"), make([5.0], "rsac")]
    runs += [make([1.0], "td3"), make([1.0], "td3"), make([4.0], "td3")]
    text = cost_table(runs, {"pendulum": 4.0, "not yet run": 1.0})
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.split("\n")[2:5]]
    assert lines[0] == ["pendulum", "4", "rsac", "1 of 1", "1,000", "0.5"]
    assert lines[1] == ["pendulum", "4", "sac", "2 of 2", "2,500", "1.2"]  # 1.25
    assert lines[2] == ["pendulum", "4", "td3", "1 of 3", "", ""]


def test_the_same_runs_give_the_same_table():
    runs = [make(np.random.default_rng(k).normal(size=10).tolist()) for k in range(5)]
    assert table(runs) == table(runs)


# Pictures


def test_everything_is_written_and_the_paths_are_returned(tmp_path):
    written = plot([write_results(tmp_path / "results")], tmp_path / "plots")
    names = ["return_steps.png", "return_time.png", "aggregate.png", "profiles.png", "table.md"]
    assert [path.name for path in written] == names
    for path in written:
        assert path.read_bytes().startswith(b"| env" if path.suffix == ".md" else b"\x89PNG")


def test_one_environment_has_no_profiles(tmp_path):
    written = plot([write_results(tmp_path / "results") / "pendulum"], tmp_path / "plots")
    assert "profiles.png" not in [path.name for path in written]


def test_axes_have_units_and_the_caption_counts_runs_and_episodes(tmp_path):
    runs = find_runs([write_results(tmp_path)])
    steps = learning_curves(runs, tmp_path / "steps.svg", statistic="iqm").read_text()
    time = learning_curves(runs, tmp_path / "time.svg", x="seconds").read_text()
    for text in ("environment steps", "return", "5k", "rsac", "pendulum"):
        assert text in steps
    assert "wall time [min]" in time
    assert "<!-- 2.5 -->" in time  # the last of five epochs of 30 s, on the axis
    assert "interquartile mean over 2 runs" in " ".join(steps.split())
    assert "10 evaluation episodes" in " ".join(steps.split())


def test_the_caption_owns_up_to_unequal_runs_and_undrawn_curves(tmp_path):
    runs = [make([1.0, 2.0]), make([1.0, 2.0], "sac"), make([3.0], "sac")]
    runs[2].columns["env_steps"][:] = 5000.0
    picture = " ".join(learning_curves(runs, tmp_path / "curves.svg").read_text().split())
    assert "mean over runs (rsac: 1, sac: 2)" in picture
    assert "unrecorded number" in picture
    assert "no range in common: sac on pendulum" in picture


def test_where_no_algorithm_ran_everywhere_there_are_curves_but_no_profiles(tmp_path):
    text = "env_steps,seconds,test_return\n1,2,3\n2,4,5\n"
    for env, algo in (("one", "ppo"), ("other", "lstm_ppo")):
        write(tmp_path / env / algo / "1", text)
    written = [path.name for path in plot([tmp_path], tmp_path / "plots")]
    assert written == ["return_steps.png", "return_time.png", "table.md"]


def test_the_caption_of_profiles_names_who_is_left_out(tmp_path):
    runs = [make([1.0], "a"), make([2.0], "a", "other"), make([3.0], "b")]
    picture = " ".join(performance_profiles(runs, tmp_path / "profiles.svg").read_text().split())
    assert "Left out, not run everywhere: b." in picture
    with pytest.raises(ValueError, match="no algorithm has runs in all of"):
        performance_profiles([make([1.0], "a"), make([1.0], "b", "other")], tmp_path / "p.png")


def test_unknown_axes_and_statistics_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no axis 'hours'"):
        learning_curves([make([1.0])], tmp_path / "p.png", x="hours")
    with pytest.raises(ValueError, match="no statistic 'median'"):
        learning_curves([make([1.0])], tmp_path / "p.png", statistic="median")


def test_the_first_40_algorithms_look_different():
    looks = {(COLOURS[k % len(COLOURS)], STYLES[k % len(STYLES)]) for k in range(40)}
    assert len(looks) == 40


def test_plotting_needs_no_torch_and_no_pyplot(tmp_path):
    write_results(tmp_path / "results")
    code = (
        "import sys, offpcc.compare.plot as p; assert 'matplotlib' not in sys.modules; "
        f"p.plot([r'{tmp_path / 'results'}'], r'{tmp_path / 'plots'}'); "
        "assert not {'torch', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def write_study(folder: Path, runs: Sequence[str]) -> Path:
    """A search whose runs have these names."""
    study = folder / "tune" / "space"
    for name in runs:
        write(study / "pendulum" / "rsac" / name, "env_steps,seconds,test_return\n1,1,5\n2,2,6\n")
    (study / "study.db").touch()
    return study


def test_trials_of_a_search_are_rows_of_their_own(tmp_path) -> None:
    runs = find_runs([write_study(tmp_path, ["0-1", "0-2", "1-1"])])
    assert [run.algo for run in runs] == ["rsac, space trial 0"] * 2 + ["rsac, space trial 1"]
    assert "P(X > Y)" not in table(runs)


def test_trials_of_a_search_are_thin_lines_under_one_name(tmp_path, monkeypatch) -> None:
    from offpcc.compare.plot import curves

    seen: list[Any] = []
    monkeypatch.setattr(curves, "finish", lambda *parts: seen.extend(parts))
    learning_curves(find_runs([write_study(tmp_path, ["0", "1", "2"])]), tmp_path / "curves.png")
    figure, legend, caption, _ = seen
    (panel,) = figure.axes
    assert [line.get_linewidth() for line in panel.lines] == [0.6, 0.6, 0.6]
    assert len({line.get_color() for line in panel.lines}) == 1
    assert list(legend) == ["rsac, space"]
    assert "A thin line is a trial of a search." in caption
