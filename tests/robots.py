"""Robots that other processes can import: each id fails in a way of its own, or not at all."""

import multiprocessing
import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import DependencyNotInstalled
from gymnasium.spaces import Box, Dict, Discrete

UNLUCKY = 13  # the seed of an episode in which the fault happens, at its third step
CONTINUOUS, CHOICE = Box(-2, 2, (2,), np.float32), Discrete(3, start=1)


class Robot(gymnasium.Env[Any, Any]):
    """Episodes of 4 to 9 steps, by their seed, which nothing may step any further.

    It shows a vector, a camera, a choice, and, if it never fails, how often it has been stepped in
    all its life.
    """

    observation_space = Dict(
        {
            "vector": Box(-1, 1, (3,), np.float64),
            "camera": Box(0, 255, (4, 5), np.uint8),
            "choice": Discrete(3),
            "life": Box(0, np.inf, (), np.float32),
        }
    )

    def __init__(self, fault: str = "", discrete: bool = False) -> None:
        self.fault, self.life = fault, 0
        self.action_space = CHOICE if discrete else CONTINUOUS
        if multiprocessing.parent_process():
            self.happen_elsewhere()

    def happen_elsewhere(self) -> None:
        if self.fault == "spaces":
            self.observation_space = Box(-1, 1, (2,), np.float32)
        if self.fault == "package":
            raise DependencyNotInstalled("the simulator is not installed")
        if self.fault == "licence":
            raise RuntimeError("there is one licence")
        if self.fault == "vanishes":
            os._exit(4)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.seed, self.time = seed, 0
        self.length = int(self.np_random.integers(4, 10))
        if seed == UNLUCKY and self.fault == "reset":
            raise RuntimeError("no way home")
        return self.seen(), {}

    def step(self, action: Any) -> Any:
        assert self.time < self.length, "stepped past its end"
        self.time, self.life = self.time + 1, self.life + 1
        if self.fault == "slow":
            time.sleep(0.01)
        if self.fault == "once" and self.life == 40:
            self.happen_once()
        if self.seed == UNLUCKY and self.time == 3 and (given := self.happen()):
            return given
        reward = self.np_random.normal() + float(np.sum(action))
        info = {"success": self.time == 3, "rewards": {"right": reward / 3, "time": -1.0}}
        failed = bool(self.np_random.random() < 0.1)
        return self.seen(), reward, failed, self.time == self.length, info

    def happen_once(self) -> None:
        """In the first process that finds the file `killed` or `hangs` in its folder."""
        for name in ("killed", "hangs") if multiprocessing.parent_process() else ():
            with suppress(FileNotFoundError):
                os.remove(name)
                os.kill(os.getpid(), signal.SIGKILL) if name == "killed" else time.sleep(60)

    def happen(self) -> Any:
        if self.fault == "raises":
            raise ValueError("the joint broke\nof arm 3")
        if self.fault == "exits":
            sys.exit(3)
        if self.fault == "ends":
            os._exit(3)
        if self.fault == "forks":
            if not os.fork():  # it holds all that is open for a while
                time.sleep(5)
            os._exit(3)
        if self.fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "hangs":
            time.sleep(60)
        if self.fault == "shape":
            return {**self.seen(), "vector": np.zeros(4)}, 0.0, False, False, {}
        if self.fault == "nan":
            return self.seen(), float("nan"), False, False, {}
        return None

    def seen(self) -> Any:
        shown = {"": self.life, "probe": "torch" in sys.modules}
        far = 2.0 if self.fault == "bounds" else 1.0
        return {
            "vector": far * self.np_random.uniform(-1, 1, 3),
            "camera": self.np_random.integers(0, 256, (4, 5), np.uint8),
            "choice": self.np_random.integers(3),
            "life": np.float32(shown.get(self.fault, 0)),
        }

    def close(self) -> None:
        if self.fault == "deaf":
            time.sleep(60)
        if self.fault == "close":
            raise RuntimeError("the motor runs on")


FAULTS = (
    "spaces package licence vanishes slow reset raises exits ends killed hangs shape nan bounds "
    "probe close deaf once forks"
)
for name in ("", *FAULTS.split()):
    gymnasium.register(f"robot{name}-v0", Robot, kwargs={"fault": name})
gymnasium.register("robotdiscrete-v0", Robot, kwargs={"discrete": True})
