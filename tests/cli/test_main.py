"""The entry point: what it records of a worker that could not do so itself."""

import json
from pathlib import Path

from offpcc.cli.main import record_trial_fault
from offpcc.cli.parser import parser
from offpcc.storage.run_folder import ENDED, HOLDER, holder


def test_the_fault_that_killed_a_trials_process_is_in_the_run_that_it_worked_on(
    tmp_path: Path,
) -> None:
    runs = tmp_path / "tune/space/Arm-v0/sac"
    for name, process in (("3-1", 76), ("3-2", 77), ("30-2", 77)):
        (runs / name).mkdir(parents=True)
        (runs / name / HOLDER).write_text(holder(process))
    words = ["--tune", "spaces/space.toml", "--results", str(tmp_path), "--trial", "3"]
    record_trial_fault(parser().parse_args(words), 77, "it ended by SIGSEGV")
    recorded = {path.parent.name: json.loads(path.read_text()) for path in runs.glob(f"*/{ENDED}")}
    assert recorded == {"3-2": {"error": "EnvironmentFault", "message": "it ended by SIGSEGV"}}
