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
