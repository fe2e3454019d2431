"""Runs of the command line in processes of their own, which may die at a chosen moment.

A process that has imported everything is forked for each, so that one costs milliseconds. Run as a
script, this file is that process.
"""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np

ROOT = Path(__file__).parents[1]
LAUNCH = [sys.executable, str(ROOT / "launch.py")]

STEPS = "play step"  # of an environment, or of several together
FILES = "fsync rename replace mkdir unlink truncate rmtree"

# A short run with small networks.
TINY = """
steps = 250
eval_interval = 60
learning_starts = 50
eval_episodes = 1
device = 'cpu'
num_threads = 1
hidden_sizes = (16,)
memory_hidden_size = 8
batch_size = 4
recurrent_batch_size = 2
replay_ratio = 0.3
"""


class Child:
    """A process of its own: what it said is in `log`."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid, self.log = pid, log

    def wait(self) -> int:
        """Its exit code, or minus the signal that killed it."""
        return int(_ask({"wait": self.pid}))

    def said(self) -> str:
        return self.log.read_text()


def launch(
    folder: Path,
    *arguments: object,
    die: tuple[str, int] = ("", 0),
    by: int = signal.SIGKILL,
    slow: tuple[str, float] = ("", 0),
    **env: str,
) -> Child:
    """Starts `launch.py` in a folder, where its results and its log will be.

    die: at the n-th moment of these kinds, FILES or STEPS, it gets a signal, `by` default a fatal
    one; slow: seconds longer that each of these takes; env: variables of its environment. Modules
    in the folder can be imported.
    """
    log = folder / "log"
    order = {"argv": [str(argument) for argument in arguments], "cwd": str(folder)}
    return Child(
        int(_ask(order | {"log": str(log), "die": [*die, by], "slow": slow, "env": env})), log
    )


def tiny(folder: Path, more: str = "") -> Path:
    """A config for short runs; further lines replace those that set the same."""
    lines = {line.partition(" = ")[0]: line for line in (TINY + more).splitlines() if line}
    path = folder / "tiny.gin"
    path.write_text("\n".join(lines.values()) + "\n")
    return path


def pictures(video: Path, height: int, width: int) -> np.ndarray:
    """The frames (n, height, width, 3) of a video."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(video)]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    content = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(content, np.uint8).reshape(-1, height, width, 3)


@cache
def _zygote() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, __file__],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def close() -> None:
        process.communicate()

    atexit.register(close)
    return process


def _ask(order: dict[str, Any]) -> str:
    process = _zygote()
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    return process.stdout.readline()


# What follows runs in the other process.


def _serve() -> None:
    import gymnasium  # noqa: F401
    import torch._dynamo  # noqa: F401 - which the first optimizer imports

    import launch  # noqa: F401

    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            print(os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1]), flush=True)
        elif pid := os.fork():
            print(pid, flush=True)
        else:
            _obey(order)


def _obey(order: dict[str, Any]) -> None:
    import launch

    sys.argv = ["launch.py", *order["argv"]]
    os.chdir(order["cwd"])
    sys.path.insert(0, order["cwd"])
    os.environ.update(order["env"])
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    code = 1
    _keep_workers_here()
    try:
        _arm(*order["die"], *order["slow"])
        code = launch.main(order["argv"])
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _keep_workers_here() -> None:
    """Workers that collect are in this process, so they die with it, at the moment asked for."""
    from offpcc.distributed.pool import LocalPool
    from offpcc.runs import experiment

    experiment.ray_pool = lambda address, make, size: LocalPool(make, size)  # type: ignore[assignment]


def _arm(kinds: str, fatal: int, number: int, slow: str, seconds: float) -> None:
    """Counts what is done of these kinds; before the fatal one the process gets a signal.

    What is slow takes some seconds longer.
    """
    from offpcc.envs.adapter import EnvAdapter
    from offpcc.envs.async_envs import AsyncEnvs
    from offpcc.envs.native_vector_env import NativeVectorEnv

    left = fatal

    def counted(kind: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            if kind in kinds.split():
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), number)
            if kind in slow.split():
                time.sleep(seconds)
            return original(*arguments, **options)

        return call

    for owner, name in (
        (EnvAdapter, "play"),
        (NativeVectorEnv, "step"),
        (AsyncEnvs, "step"),
        (shutil, "rmtree"),
        *((os, n) for n in FILES.split()[:-1]),
    ):
        setattr(owner, name, counted(name, getattr(owner, name)))


if __name__ == "__main__":
    _serve()
