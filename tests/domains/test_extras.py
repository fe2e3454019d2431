import sys

import pytest

from offpcc.domains.extras import missing


@pytest.mark.parametrize(
    ("extra", "version", "way"),
    [
        ("bullet", (3, 11, 7), "it needs x; "),
        ("bullet", (3, 12, 1), "; use Python 3.11, and there "),
        ("dmc", (3, 12, 1), "it needs x; "),
        ("dmc", (3, 13, 0), "; use Python 3.12, and there "),
    ],
)
def test_a_missing_package_comes_with_the_way_to_it_on_this_python(
    monkeypatch, extra, version, way
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    said = missing("x", extra)
    assert said.startswith("it needs x") and said.endswith(f"{way}pip install 'offpcc[{extra}]'")
