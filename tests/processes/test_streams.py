"""Standard streams that cannot be written to do not end a process, nor change its exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TALK = f"""
import logging, sys
sys.path.insert(0, {str(ROOT)!r})
from offpcc.processes.streams import tolerate_write_errors
tolerate_write_errors()
from tqdm import tqdm
for i in tqdm(range(3), mininterval=0):
    print("x" * 100_000, flush=True)
    print("y", file=sys.stderr)
    logging.warning("z")
print("no flush", end="")
open("done", "w").write("yes")
"""


def talk(folder: Path, redirection: str, code: str = TALK) -> int:
    """The exit code of a script in a shell's hands."""
    (folder / "talk.py").write_text(code)
    command = f"set -o pipefail; '{sys.executable}' talk.py {redirection}"
    return subprocess.run(["bash", "-c", command], cwd=folder, timeout=60, check=False).returncode


@pytest.mark.parametrize(
    "redirection", ["> /dev/full 2>&1", "2>&1 | true", "2>&1 | head -c 1 > /dev/null"]
)
def test_a_full_disk_or_a_closed_pipe_ends_nothing(tmp_path, redirection):
    assert talk(tmp_path, redirection) == 0
    assert (tmp_path / "done").read_text() == "yes"


def test_what_is_printed_to_a_closed_stream_does_not_land_in_the_next_file(tmp_path):
    assert talk(tmp_path, "<&- >&- 2>&-", TALK + "print('!', file=sys.stdout, flush=True)\n") == 0
    assert (tmp_path / "done").read_text() == "yes"


def test_what_can_be_written_is_written_line_by_line(tmp_path):
    code = TALK.partition("from tqdm")[0] + "print('a')\nimport os\nos._exit(0)\n"
    assert talk(tmp_path, "> said", code) == 0
    assert (tmp_path / "said").read_text() == "a\n"


def test_letters_that_a_terminal_lacks_are_escaped(tmp_path):
    code = TALK.partition("from tqdm")[0] + "print('±')\nprint('…', file=sys.stderr)\n"
    assert talk(tmp_path, "> said 2>&1", f"import os\n{code}") == 0
    command = f"PYTHONIOENCODING=ascii '{sys.executable}' talk.py > said 2>&1"
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    assert (tmp_path / "said").read_text() == "\\xb1\n\\u2026\n"
