"""Requests: what is asked for from Python, in every form that it may take."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import offpcc
from offpcc.cli.parser import parser
from offpcc.cli.runs import requests
from offpcc.config.catalog import SYNONYMS, algorithm_file, algorithms, check_id
from offpcc.errors import ConfigError
from offpcc.networks import GRU
from offpcc.runs.run_spec import RunSpec, lines_of
from offpcc.storage.run_folder import RunFolder, read_json

RUN = {"env": "pendulum-v0", "algo": "sac", "seed": 1, "spec": {}}


@pytest.mark.parametrize(
    ("bind", "lines"),
    [
        ("hidden_sizes = (64, 64)", ["hidden_sizes = (64, 64)"]),
        (
            ["learning_rate = 0.1", "memory_hidden_size = 3"],
            ["learning_rate = 0.1", "memory_hidden_size = 3"],
        ),
        (
            {"hidden_sizes": (64, 64), "max_grad_norm": None},
            ["hidden_sizes = (64, 64, )", "max_grad_norm = None"],
        ),
        ({"hidden_sizes": (64,)}, ["hidden_sizes = (64, )"]),
        ({"actor_keys": ["observation"]}, ["actor_keys = ['observation', ]"]),
        ({"summarizer": GRU}, ["summarizer = @GRU"]),
        (
            {"summarizer": "@GRU", "sequence_length": "%n_step"},
            ["summarizer = @GRU", "sequence_length = %n_step"],
        ),
        (
            {"learning_rate": np.float32(0.5), "memory_hidden_size": np.int64(3)},
            ["learning_rate = 0.5", "memory_hidden_size = 3"],
        ),
        ({"env_kwargs": {"goal": -0.5}}, ["env_kwargs = {'goal': -0.5}"]),
        ((), []),
    ],
)
def test_settings_come_as_a_line_as_lines_or_by_name(bind: Any, lines: list[str]) -> None:
    assert lines_of(bind) == lines
    assert RunSpec("pendulum-v0", "rsac", bind=lines_of(bind)).compose()


@pytest.mark.parametrize(
    ("bind", "wrong"),
    [
        ({"learning_rate": float("inf")}, "learning_rate is inf; it must be finite"),
        (
            {"hidden_sizes": {64}},
            "hidden_sizes is .*; it is a number, a text, a class, a list",
        ),
    ],
)
def test_a_value_that_no_line_can_hold_is_refused_by_its_name(bind: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        lines_of(bind)


# Names


def test_every_synonym_leads_to_an_algorithm_and_is_none() -> None:
    assert set(SYNONYMS.values()) <= {*algorithms()}
    assert not SYNONYMS.keys() & {*algorithms()}


@pytest.mark.parametrize(
    ("said", "ours"),
    [("recurrent_sac", "rsac"), ("Recurrent-SAC", "rsac"), ("IQL", "td3_bc"), ("r2d2", "drsac")],
)
def test_what_others_call_an_algorithm_is_known(said: str, ours: str) -> None:
    with pytest.raises(ValueError, match=f"unknown algorithm '{said}'; the nearest here is {ours}"):
        algorithm_file(said)


def test_an_id_of_ones_own_is_asked_for_by_its_module() -> None:
    with pytest.raises(ValueError, match="'Arm-v0'; one of your own is module:Arm-v0, and modul"):
        check_id("Arm-v0")
    with pytest.raises(ValueError, match="'Arm-v0'; offpcc neither registers it with gymn"):
        check_id("offpcc:Arm-v0")


@pytest.mark.parametrize("name", ["Pendulum-v9", "pendulum", "PENDULUM-v0"])
def test_an_id_that_is_nearly_one_is_told_which(name: str) -> None:
    with pytest.raises(ValueError, match=r"did you mean (pendulum|Pendulum)-v"):
        check_id(name)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("1 / 0", "module mine raised ZeroDivisionError: division by zero .*mine.py, line 1"),
        ("import sys\nsys.exit(3)", "module mine raised SystemExit: 3 .*line 2"),
        ("x = = 1", "module mine raised SyntaxError: invalid syntax"),
        ("raise ValueError('one\\ntwo')", "raised ValueError: one two"),
        ("import no_such_package", "module mine needs 'no_such_package', which is not installed"),
        (None, r"there is no module 'mine'; modules are looked for in .*PYTHONPATH adds more"),
    ],
)
def test_a_module_that_does_not_import_is_one_line(tmp_path, monkeypatch, text, wrong) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    config = tmp_path / "mine.gin"
    config.write_text("learning_rate = 0.1\nimport mine\n")
    asked = RunSpec("pendulum-v0", "sac", config=config)
    for ask, place in (
        (lambda: check_id("mine:Arm-v0"), "--env mine:Arm-v0"),
        (asked.compose, f"{config}:2"),
    ):
        with pytest.raises(ConfigError, match=f"^{place}: .*{wrong}") as error:
            ask()
        assert len(str(error.value).splitlines()) == 1


# What is not whole


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (json.dumps(RUN)[:20], r"run.json is not JSON, or cut short \(.*\); restore it"),
        ("", r"run.json is not JSON, or cut short"),
        ("[1]", r"run.json is damaged: it has no env, algo, seed, spec"),
        ('{"env": "a", "algo": "b", "seed": 1}', "run.json is damaged: it has no spec; restore it"),
    ],
)
def test_a_damaged_run_json_is_named(tmp_path: Path, content: str, wrong: str) -> None:
    (tmp_path / "run.json").write_text(content)
    for read in (RunFolder(tmp_path).read, lambda: offpcc.load(tmp_path)):
        with pytest.raises(ValueError, match=wrong):
            read()


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(RUN), encoding="utf-8-sig")
    assert read_json(tmp_path / "a.json") == RUN
    config = tmp_path / "a.gin"
    config.write_text("learning_rate = 0.25\n", encoding="utf-8-sig")
    assert (
        RunSpec("pendulum-v0", "sac", config=config).compose().values["SAC.learning_rate"] == 0.25
    )


# Words of the command line


def requested(*words: str) -> RunSpec:
    asked = parser().parse_args(["--env", "pendulum-p-v0", "--algo", "rsac", *words])
    return requests(asked)[0]


def test_arguments_and_wrappers_of_the_environment_are_settings() -> None:
    asked = requested("--env-kwargs", "a=0.5", "b=[1, 2]", "c=slow", "--wrapper", "m:A", "m:B")
    values = asked.compose().values
    assert values["make_env.env_kwargs"] == {"a": 0.5, "b": [1, 2], "c": "slow"}
    assert values["make_env.wrappers"] == ["m:A", "m:B"]
    values = requested().compose().values
    assert (values["make_env.env_kwargs"], values["make_env.wrappers"]) == (None, ())


@pytest.mark.parametrize("word", ["a", "=3", "0a=3", "a b=3"])
def test_an_argument_without_a_name_or_a_value_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=f"--env-kwargs {word}: it is written name=value"):
        requested("--env-kwargs", word)


def test_a_run_that_starts_from_another_says_so_to_its_processes_and_to_its_group() -> None:
    spec = RunSpec("pendulum-p-v0", "lstm_ppo", init_from=Path("results/pendulum-p-v0/rtd3/1"))
    assert spec.name == "pendulum-p-v0 lstm_ppo pendulum from rtd3"
    (again,) = requests(parser().parse_args(spec.arguments))
    assert again.init_from == "results/pendulum-p-v0/rtd3/1" and again.arguments == spec.arguments
    with pytest.raises(ValueError, match="lstm_ppo/1 is the run itself; name an older one"):
        RunSpec("pendulum-p-v0", "lstm_ppo", init_from="./results/pendulum-p-v0/lstm_ppo/1")
