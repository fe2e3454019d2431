"""Signals: the first one is noted, the second one ends the process, and other threads have none."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from offpcc.errors import Stopped
from offpcc.processes.interrupt import Interrupt

BUSY = """
import time
from offpcc.processes import interrupt
interrupt.ONE_REQUEST = 0.5
with interrupt.Interrupt():
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_noted_and_raised_when_asked_for(number):
    with Interrupt() as interrupt:
        interrupt()
        os.kill(os.getpid(), number)
        with pytest.raises(Stopped, match=f"stopped by {number.name}; continue with --resume"):
            interrupt()
    with pytest.raises(Stopped) as stopped:
        interrupt()
    assert stopped.value.number == number


def test_the_handlers_before_are_back_afterwards():
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with Interrupt():
        assert signal.getsignal(signal.SIGINT) not in before
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_hang_up_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGHUP)
            interrupt()
            os.kill(os.getpid(), signal.SIGTERM)
            assert interrupt.number == signal.SIGTERM
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_process_unless_it_comes_with_the_first(second):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", BUSY]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        process.send_signal(second)
        time.sleep(0.6)
        assert process.poll() is None
        process.send_signal(second)
        assert process.wait(10) == 128 + second


def test_in_another_thread_signals_stay_as_they_are():
    seen = []

    def work() -> None:
        with Interrupt() as interrupt:
            seen.append(signal.getsignal(signal.SIGTERM))
            interrupt()

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


CHILD = """
import os, signal, subprocess, sys, time
from offpcc.processes.interrupt import held_back, leave_to_parent
if len(sys.argv) == 1:
    with held_back():
        child = subprocess.Popen([sys.executable, __file__, "child"], stdout=subprocess.PIPE)
    child.send_signal(signal.SIGTERM)  # before it has begun
    print(child.stdout.readline().decode(), end="", flush=True)
    child.send_signal(signal.SIGTERM)
    print(child.stdout.readline().decode(), child.wait(), flush=True)
    signal.raise_signal(signal.SIGTERM)  # none waits any more
else:
    leave_to_parent()
    print("lives", flush=True)
    time.sleep(0.5)
    other = subprocess.Popen(["sleep", "60"])
    other.terminate()
    print("its own child ended with", other.wait(10), flush=True)
"""


def test_a_process_whose_stops_are_left_to_its_parent_lives_on_and_its_own_children_do_not(
    tmp_path,
):
    script = tmp_path / "script.py"
    script.write_text(CHILD)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env=env, timeout=30
    )
    assert done.stdout == "lives\nits own child ended with -15\n 0\n"
    assert done.returncode == -signal.SIGTERM and not done.stderr
