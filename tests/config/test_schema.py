"""Schema: what is read from the source is what Python makes of it."""

import re
import subprocess
import sys
from inspect import Parameter
from pathlib import Path
from typing import Any

import pytest

from offpcc.config.registry import CLASS_MODULES, RUN_SUPPLIED
from offpcc.config.schema import schema_in, schema_of
from offpcc.config.type_check import Reference
from offpcc.networks import LSTM

ROOT = Path(__file__).parents[2]


def default_and_kind(parameter: Parameter) -> tuple[Any, str]:
    """Default and annotation; classes by their bare names."""
    default = parameter.default
    if isinstance(default, type) and default is not Parameter.empty:
        default = Reference("", default.__name__)
    return default, re.sub(r"(\w+\.)+", "", repr(parameter.annotation))


@pytest.mark.parametrize(
    ("home", "name"),
    [(home, name) for home, names in CLASS_MODULES.items() for name in names.split()],
)
def test_the_source_says_what_the_imported_class_takes(home: str, name: str) -> None:
    read = schema_in(f"offpcc.{home}", name)
    made = schema_of(read.load())
    assert (read.name, read.module) == (made.name, made.module)
    known = [each for each in made.lineage if each in read.lineage]
    assert list(read.lineage) == known, "in the same order"
    assert set(made.lineage) - set(known) <= {"object", "ABC", "Module"}
    ours, theirs = (
        {
            key: default_and_kind(each)
            for key, each in schema.parameters.items()
            if key not in RUN_SUPPLIED
        }
        for schema in (read, made)
    )
    assert list(ours) == list(theirs), "in the same order"
    assert ours == theirs
    assert list(read.parameters) == list(made.parameters)


def test_a_class_of_ones_own_has_the_names_of_ours_that_it_derives_from() -> None:
    class Wide(LSTM):
        def __init__(self, inputs: int, *, factor: int = 2) -> None:
            super().__init__(inputs, hidden_size=factor * inputs)

    schema = schema_of(Wide)
    assert {"Wide", "LSTM", "Summarizer"} <= set(schema.lineage)
    assert schema.parameters["factor"].default == 2


def test_knowing_all_settings_imports_neither_torch_nor_any_class() -> None:
    code = (
        "import sys; from offpcc.config import bindings, registry;"
        "from offpcc.config.catalog import *;"
        "[bindings.compose([algorithm_file(name)]) for name in algorithms()];"
        "print(len(registry.REGISTRY), 'torch' in sys.modules, "
        "'offpcc.training.loop' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    count = sum(len(names.split()) for names in CLASS_MODULES.values())
    assert done.stdout.split() == [str(count), "False", "False"]
