"""Real runs with --wandb offline: what wandb has of them, and a sweep as the page describes it."""

import csv
import html
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from children import LAUNCH, ROOT, tiny
from offline_wandb import wandb_records, wandb_rows, without_wandb

pytest.importorskip("wandb")
yaml: Any = pytest.importorskip("yaml")

RUN = ["--env", "cartpole-continuous-p-v0", "--algo", "rsac"]


def run(command: list[str], folder: Path, **env: str) -> None:
    """To its end, in a process of its own, as wandb starts another that outlives the run."""
    env = without_wandb() | {"OMP_NUM_THREADS": "1"} | env
    ended = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def stored(run_folder: Path) -> list[list[Any]]:
    """The records of each process that worked on a run, in their order."""
    files = sorted(run_folder.glob("wandb/offline-run-*/*.wandb"))
    return [wandb_records(file) for file in files]


def beginning(records: list[Any]) -> Any:
    (record,) = (record.run for record in records if record.HasField("run"))
    return record


def config_of(records: list[Any]) -> dict[str, Any]:
    items = beginning(records).config.update
    return {item.key: json.loads(item.value_json) for item in items}


def rows(run_folder: Path) -> list[dict[str, float]]:
    """The rows of progress.csv without empty cells."""
    with (run_folder / "progress.csv").open() as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs 1 and 2 of one command; 1 was continued by another, which names no config."""
    folder = tmp_path_factory.mktemp("runs")
    offline = [*LAUNCH, *RUN, "--wandb", "offline"]
    config = ["--config", str(tiny(folder)), "--seed", "3"]
    run([*offline, *config, "--run_id", "1", "2"], folder)
    run([*offline, "--run_id", "1", "--resume", "--steps", "330"], folder)
    return folder / "results/cartpole-continuous-p-v0/rsac"


def test_runs_of_one_command_share_a_group_and_differ_in_name_and_id(runs):
    first, second = (beginning(stored(runs / run_id)[0]) for run_id in "12")
    for record, run_id in ((first, "1"), (second, "2")):
        assert record.run_group == "cartpole-continuous-p-v0 rsac tiny"
        assert record.display_name == f"run_id={run_id}"
    assert first.run_id != second.run_id


def test_every_setting_and_fact_of_a_run_is_in_its_config(runs):
    (records,) = stored(runs / "2")
    found = config_of(records)
    lines = (runs / "2/config.gin").read_text().splitlines()
    settings = {line.partition(" = ")[0] for line in lines if "." in line.partition(" = ")[0]}
    assert len(settings) > 50 and settings <= found.keys()
    assert (found["SAC.hidden_sizes"], found["Training.steps"]) == ([16], 250)
    assert (found["TrainingConfig.agent"], found["SAC.summarizer"]) == ("@SAC", "@LSTM")
    assert found["SAC.critic_encoder"] == "@critic/Encoder"
    facts = json.loads((runs / "2/run.json").read_text())
    for key in facts.keys() - {"final", "resume_exact"}:
        assert found[key] == facts[key], key


def test_the_history_has_the_rows_of_progress_csv_over_env_steps(runs):
    (records,) = stored(runs / "2")
    assert wandb_rows(records) == rows(runs / "2")
    (axis,) = (record.metric for record in records if record.HasField("metric"))
    assert (axis.glob_name, axis.step_metric) == ("*", "env_steps")


def test_a_resumed_run_is_the_same_run_with_its_group_its_facts_and_its_new_steps(runs):
    before, after = stored(runs / "1")
    assert beginning(before).run_id == beginning(after).run_id
    assert beginning(before).run_group == beginning(after).run_group
    then, now = config_of(before), config_of(after)
    assert {key for key in then if then[key] != now[key]} == {"Training.steps"}
    assert now["Training.steps"] == 330
    # The resume repeats the row behind the last checkpoint, here and in progress.csv.
    newest = {row["env_steps"]: row for row in [*wandb_rows(before), *wandb_rows(after)]}
    assert [*newest.values()] == rows(runs / "1")


def test_a_report_is_a_run_of_the_suites_group_with_its_page_and_all_its_plots(tmp_path):
    folder = tmp_path / "parts"
    shutil.copytree(ROOT / "results/suites/parts", folder)
    shutil.rmtree(folder / "wandb", ignore_errors=True)
    report = ["--compare", "parts", "--report", str(folder), "--wandb", "offline"]
    run([*LAUNCH, *report], tmp_path)
    (records,) = stored(folder)
    record = beginning(records)
    assert (record.run_group, record.display_name, record.project) == ("parts", "report", "offpcc")
    (row,) = wandb_rows(records)
    plots = {path.stem for path in folder.glob("*.png")}
    assert {"return_steps", "return_time", "aggregate", "profiles"} <= plots
    assert row.keys() - {"env_steps"} == {"report", *plots}
    files = [*folder.glob("wandb/offline-run-*/files/media/*/*")]
    assert {path.name.rsplit("_", 2)[0] for path in files} == {"report", *plots}
    (page,) = (path for path in files if path.suffix == ".html")
    assert html.escape((folder / "report.md").read_text()) in page.read_text()


# A sweep


@pytest.fixture
def sweep() -> dict[str, Any]:
    """The sweep on the page."""
    page = (ROOT / "docs/wandb.md").read_text()
    read: dict[str, Any] = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    return read


def command_of(sweep: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """The command line that wandb's agent makes of a sweep's."""
    from wandb.sdk.launch.sweeps import utils

    words = utils.create_sweep_command_args({"args": values})
    command: list[str] = []
    for word in utils.create_sweep_command(sweep["command"]):
        command += words[word[2:-1]] if word.startswith("${") else [word]
    return command


def test_the_sweep_on_the_page_trains_a_run_of_the_sweep(sweep, tmp_path):
    """As wandb's agent would; only the server, which chooses the values, is not there."""
    from wandb.sdk.lib import config_util

    chosen = {
        name: {"value": choice["values"][-1] if "values" in choice else choice["min"]}
        for name, choice in sweep["parameters"].items()
    }
    command = command_of(sweep, chosen)
    (script,) = (word for word in command if "launch.py" in word)
    assert "python launch.py" in script and "--wandb online" in script
    short = tiny(tmp_path, "steps = 60\nmax_episode_steps = 20")
    command[command.index(script)] = script.replace("python launch.py", " ".join(LAUNCH)).replace(
        "--wandb online", f"--wandb offline --config {short}"
    )
    file = tmp_path / "chosen.yaml"
    config_util.save_config_file_from_dict(str(file), chosen)
    variables = {"WANDB_SWEEP_ID": "abc", "WANDB_RUN_ID": "xyz"}
    run(command, tmp_path, **variables, WANDB_SWEEP_PARAM_PATH=str(file))

    (folder,) = tmp_path.glob("results/*/*/xyz")
    (records,) = stored(folder)
    assert (beginning(records).sweep_id, beginning(records).run_id) == ("abc", "xyz")
    assert (folder / "wandb/id").read_text() == "xyz", "for a resume outside of the sweep"
    found = config_of(records)
    assert {name: found[name] for name in chosen} == {k: v["value"] for k, v in chosen.items()}
    assert found["SAC.learning_rate"] == chosen["learning_rate"]["value"]
    assert wandb_rows(records)[-1]["env_steps"] == 60


def test_the_sweep_on_the_page_goes_by_a_column_that_there_is(sweep, runs):
    assert sweep["metric"]["name"] in rows(runs / "2")[-1]
