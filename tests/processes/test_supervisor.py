"""The supervisor: how a command ends whose environment hangs or dies, or that is stopped.

Its worker is a script here that plays no environment, but says that it does.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from offpcc.processes import supervisor
from offpcc.processes.lifeline import Lifeline, inherited

ROOT = Path(__file__).parents[2]
SCRIPT = f"""
import ctypes, os, signal, subprocess, sys, threading, time
sys.path.insert(0, {str(ROOT)!r})
import offpcc.processes.interrupt
from offpcc.processes import heartbeat
from offpcc.processes import supervisor
from offpcc.errors import CallTimeout, Stopped
from offpcc.processes.interrupt import Interrupt

heartbeat.ANSWER = heartbeat.EXIT = 0.6
heartbeat.HURRY = heartbeat.HURRIED_ANSWER = 0.6
supervisor.ONE_REQUEST, offpcc.processes.interrupt.ONE_REQUEST = 0.5, 0.1
LIMIT = 0.6

def ready():
    print("ready", os.getpid(), flush=True)

def call(name, act):
    heartbeat.begin(name, 2, 7, 4, 9)
    try:
        ready()
        return act()
    finally:
        heartbeat.end()

def deadlock():  # with the interpreter's lock held
    libc, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)

def deaf():
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass

def main():
    heartbeat.configure(LIMIT)
    with Interrupt() as interrupt:

        def calm(seconds=60):
            ready()
            for _ in range(int(100 * seconds)):
                time.sleep(0.01)
                interrupt()
            return 0

        try:
            return eval(sys.argv[1], globals() | locals())
        except CallTimeout as error:
            print(error, flush=True)
            return 6
        except Stopped as error:
            print(error, flush=True)
            return 128 + error.number

if __name__ == "__main__":
    sys.exit(supervisor.run(main, True, "--resume"))
"""
PLACE = "copy 2, seed 7, episode 4, step 9"
RESUME = "; the last checkpoint stands, continue with --resume\n"
OVERDUE = "the environment's step has not answered for 0.6 s"
HANGS = {"in Python": "call('step', lambda: time.sleep(60))", "natively": "call('step', deadlock)"}


@contextmanager
def started(folder: Path, code: str, **options: object) -> "Iterator[subprocess.Popen[str]]":
    """A supervisor of a worker that evaluates an expression of the script."""
    (folder / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(folder / "script.py"), code]
    with (
        (folder / "err").open("w") as err,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True, **options) as it,  # type: ignore[call-overload]
    ):
        try:
            yield it
        finally:
            it.kill()


def worker_of(process: "subprocess.Popen[str]") -> psutil.Process:
    """The worker, once it is at work."""
    assert process.stdout
    word, number = process.stdout.readline().split()
    assert word == "ready"
    return psutil.Process(int(number))


def end(process: "subprocess.Popen[str]", folder: Path) -> tuple[int, str, str]:
    """Exit code, what the worker said last, and what the supervisor said."""
    said, _ = process.communicate(timeout=30)
    lines = [line for line in said.splitlines() if not line.startswith("ready ")]
    return process.returncode, "\n".join(lines), (folder / "err").read_text()


def ending(folder: Path, code: str) -> tuple[int, str, str]:
    """The same, of a worker that ends by itself."""
    with started(folder, code) as process:
        return end(process, folder)


def gone(process: psutil.Process) -> bool:
    """Whether a process that we are not the parent of ends within 10 s."""
    until = time.monotonic() + 10
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


# Ends


@pytest.mark.parametrize("code", [0, 3])
def test_an_orderly_end_has_the_workers_exit_code_and_no_more_words(tmp_path, code):
    assert ending(tmp_path, f"call('step', lambda: {code})") == (code, "", "")


def test_an_error_that_nobody_knows_ends_with_1(tmp_path):
    code, _, said = ending(tmp_path, "1 / 0")
    assert code == 1 and said.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize(
    ("act", "how"),
    [
        ("os._exit(0)", "exit code 0"),
        ("os._exit(3)", "exit code 3"),
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("os.abort()", "SIGABRT"),
    ],
)
def test_a_process_that_ends_inside_a_call_is_a_fault_of_the_environment(tmp_path, act, how):
    line = f"launch.py: the environment ended its process ({how}) in step; {PLACE}{RESUME}"
    assert ending(tmp_path, f"call('step', lambda: {act})") == (6, "", line)


@pytest.mark.parametrize(
    ("act", "code", "how"),
    [
        ("os._exit(0)", 1, "exit code 0"),
        ("os.abort()", 134, "SIGABRT"),
        ("call('step', lambda: os.kill(os.getpid(), signal.SIGKILL))", 137, "SIGKILL"),
    ],
)
def test_one_that_ends_elsewhere_or_is_killed_never_ends_with_0(tmp_path, act, code, how):
    line = f"launch.py: the process ended early ({how}){RESUME}"
    assert ending(tmp_path, act) == (code, "", line)


def test_a_fork_that_leaves_by_the_scripts_end_does_not_speak_for_the_worker(tmp_path):
    act = "os._exit(5) if os.fork() and os.wait() else 0"
    assert ending(tmp_path, act)[0] == 1


def test_what_hinders_the_end_when_all_is_done_costs_nothing(tmp_path):
    act = "threading.Thread(target=time.sleep, args=(60,)).start() or 0"
    code, _, said = ending(tmp_path, act)
    assert code == 0 and said == f"launch.py: {supervisor.DONE}\n"


# Calls that do not answer


def test_an_overdue_call_is_interrupted_in_python_first(tmp_path):
    assert ending(tmp_path, HANGS["in Python"]) == (6, OVERDUE, "")


@pytest.mark.parametrize("hang", [HANGS["natively"], "call('step', deaf)"])
def test_a_call_that_cannot_be_interrupted_is_killed_with_its_process(tmp_path, hang):
    line = f"launch.py: {OVERDUE}; {PLACE}; its process was killed{RESUME}"
    assert ending(tmp_path, hang) == (6, "", line)


def test_calls_that_answer_in_time_may_be_many_and_other_work_may_be_long(tmp_path):
    act = "[call('step', lambda: time.sleep(0.3)) for _ in range(4)] and calm(1.0)"
    assert ending(tmp_path, act) == (0, "", "")


def test_a_call_without_a_time_out_takes_its_time(tmp_path):
    act = "heartbeat.configure(None) or call('step', lambda: time.sleep(1.5)) or 0"
    assert ending(tmp_path, act) == (0, "", "")


def test_a_worker_that_was_suspended_is_not_overdue(tmp_path):
    with started(tmp_path, "call('step', lambda: time.sleep(0.3)) or 0") as process:
        worker = worker_of(process)
        worker.suspend()
        time.sleep(1.8)
        worker.resume()
        assert end(process, tmp_path) == (0, "", "")


def test_processes_that_the_worker_has_started_are_killed_with_it(tmp_path):
    act = "print(subprocess.Popen(['sleep', '60']).pid, flush=True) or call('step', deadlock)"
    with started(tmp_path, act) as process:
        assert process.stdout
        simulator = psutil.Process(int(process.stdout.readline()))
        assert end(process, tmp_path)[0] == 6
        assert gone(simulator)


def test_a_killed_worker_leaves_none_of_the_processes_that_it_has_started(tmp_path):
    act = "print(subprocess.Popen(['sleep', '60']).pid, flush=True) or calm()"
    with started(tmp_path, act) as process:
        assert process.stdout
        simulator = psutil.Process(int(process.stdout.readline()))
        worker_of(process).kill()
        assert end(process, tmp_path)[0] == 137
        assert gone(simulator)


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_passed_on(tmp_path, number):
    with started(tmp_path, "calm()") as process:
        worker_of(process)
        process.send_signal(number)
        result = f"stopped by {number.name}; continue with --resume"
        assert end(process, tmp_path) == (128 + number, result, "")


def test_a_signal_that_the_worker_is_not_ready_for_ends_it(tmp_path):
    act = "signal.signal(15, signal.SIG_DFL) and calm()"
    with started(tmp_path, act) as process:
        worker_of(process)
        process.terminate()
        assert end(process, tmp_path) == (143, "", "launch.py: stopped by SIGTERM\n")


@pytest.mark.parametrize("hang", HANGS)
def test_a_signal_while_a_call_hangs_is_the_reason_of_the_end(tmp_path, hang):
    with started(tmp_path, f"heartbeat.configure(60) or {HANGS[hang]}") as process:
        worker_of(process)
        process.terminate()
        code, said, line = end(process, tmp_path)
    assert code == 143
    assert f"{OVERDUE} after SIGTERM" in (said if hang == "in Python" else line)
    assert line.count("\n") == 1 and line.endswith(RESUME)


def test_a_second_signal_ends_all_at_once_unless_it_comes_with_the_first(tmp_path):
    with started(tmp_path, "ready() or deaf()") as process:
        worker = worker_of(process)
        for _ in range(3):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.05)
        time.sleep(0.6)
        assert worker.is_running()
        process.send_signal(signal.SIGINT)
        line = f"launch.py: stopped at once by SIGINT{RESUME}"
        assert end(process, tmp_path) == (130, "", line)


def test_signals_that_come_to_the_worker_too_do_not_keep_it_from_saving(tmp_path):
    with started(tmp_path, "ready() or time.sleep(0.6) or calm()") as process:
        worker = worker_of(process)
        process.terminate()
        for _ in range(3):  # of Slurm's or pkill's
            time.sleep(0.1)
            worker.terminate()
        result = "stopped by SIGTERM; continue with --resume"
        assert end(process, tmp_path) == (143, result, "")


def test_a_hang_up_that_is_ignored_is_not_passed_on(tmp_path):
    def nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with started(tmp_path, "calm(0.5)", preexec_fn=nohup) as process:
        worker = worker_of(process)
        process.send_signal(signal.SIGHUP)
        worker.send_signal(signal.SIGHUP)
        assert end(process, tmp_path) == (0, "", "")


def test_ctrl_z_suspends_the_worker_too_and_no_time_is_counted(tmp_path):
    with started(tmp_path, "call('step', lambda: time.sleep(0.4)) or calm(0.1)") as process:
        worker = worker_of(process)
        process.send_signal(signal.SIGTSTP)
        for each in (worker, psutil.Process(process.pid)):
            until = time.monotonic() + 5
            while each.status() != psutil.STATUS_STOPPED:
                assert time.monotonic() < until
                time.sleep(0.01)
        time.sleep(1.5)
        process.send_signal(signal.SIGCONT)
        assert end(process, tmp_path) == (0, "", "")


# Ends of parents


@pytest.mark.parametrize("act", ["calm()", *HANGS.values()])
def test_a_killed_supervisor_leaves_no_worker(tmp_path, act):
    act = f"heartbeat.configure(60) or {act}"
    with started(tmp_path, act, start_new_session=True) as process:
        worker = worker_of(process)
        guard, *_ = (p for p in psutil.Process(process.pid).children() if p != worker)
        os.killpg(process.pid, signal.SIGKILL)  # as a shell's kill -9 %1
        assert gone(worker) and gone(guard)
        said = end(process, tmp_path)[1]
    if "deadlock" not in act:
        assert "SIGTERM" in said, "it had the time for a checkpoint"


def test_a_killed_guard_changes_nothing(tmp_path):
    with started(tmp_path, "calm(0.3)") as process:
        worker = worker_of(process)
        guard, *_ = (p for p in psutil.Process(process.pid).children() if p != worker)
        guard.kill()
        assert end(process, tmp_path) == (0, "", "")


def test_the_end_of_a_parent_counts_as_sigterm(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    with Lifeline() as lifeline:
        command = [sys.executable, str(tmp_path / "script.py"), "calm()"]
        process = lifeline.start(command, os.environ, stdout=subprocess.PIPE, text=True)
        worker_of(process)
        assert process.poll() is None
    said, _ = process.communicate(timeout=10)
    assert process.returncode == 143
    assert said == "stopped by SIGTERM; continue with --resume\n"


def test_a_lifeline_is_inherited_by_the_child_and_not_by_its_children():
    code = (
        "import os, subprocess; from offpcc.processes.lifeline import inherited; fd = inherited(); "
    )
    code += "print(os.get_inheritable(fd), inherited(), 'OFFPCC_LIFELINE' in os.environ)"
    with Lifeline() as lifeline:
        command = [sys.executable, "-c", code]
        process = lifeline.start(command, os.environ, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.communicate(timeout=10)[0] == "False None False\n"
    assert inherited() is None


def test_what_is_not_observed_runs_in_this_process():
    assert supervisor.run(os.getpid, observed=False) == os.getpid()
