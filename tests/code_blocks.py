"""Code on pages: its blocks and commands, and how to run them with few steps."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import launch

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FEW = ("learning_starts = 200", "eval_interval = 220", "eval_episodes = 1")
SMALL = ("recurrent_batch_size = 2", "memory_hidden_size = 8")  # of what has a memory
ROLLOUTS = (
    "rollout_steps = 20",
    "eval_interval = 220",
    "eval_episodes = 1",
)  # of on-policy algorithms
SUITE = """question = "Does it run?"
[[entries]]
env = "pendulum-p-v0"
algos = ["sac", "sb3_sac"]
seeds = 1
steps = 220
bind = ["learning_starts = 200", "eval_interval = 220", "eval_episodes = 1"]
"""
# What is done with runs that exist, or needs none.
USES = {
    *("--list", "--check", "--plot", "--compare", "--evaluate", "--record", "--status"),
    *("--print-config", "--demonstrate", "--record-data", "--tune"),
}


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return [code for found, code in BLOCK.findall(text) if found == language]


def commands(text: str) -> Iterator[list[str]]:
    """The words of every line of its bash blocks."""
    for block in blocks(text, "bash"):
        yield from (shlex.split(line) for line in block.splitlines())


def obey(words: list[str]) -> None:
    """Does what a command line says, in this process if it is offpcc's."""
    if words[0] == "offpcc":
        call(words[1:])
    elif words[:2] == ["python", "launch.py"]:
        call(words[2:])
    else:
        assert words[0] == "python"
        python = [sys.executable, "-W", "error", *words[1:]]
        own = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        subprocess.run(python, env=os.environ | own, check=True)


def call(words: list[str]) -> None:
    """Does it with few steps and episodes."""
    words = ["2" if word == "100" else word for word in words]
    if "--compare" in words:
        suite = words.index("--compare") + 1
        if not Path(words[suite]).exists():  # one of hours gives way to one of seconds
            Path("short.toml").write_text(SUITE)
            words[suite] = "short.toml"
    remembers = "mingru.gin" in words or re.search("--algo (r|lstm)", " ".join(words))
    lines = (ROLLOUTS if "lstm_ppo" in words else FEW) + (SMALL if remembers else ())
    few = ["--steps", "220", *(part for line in lines for part in ("--bind", line))]
    assert launch.main(words if USES & set(words) else [*words, *few]) == 0
