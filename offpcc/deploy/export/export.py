"""Export: writes a trained policy as a file of its own, once the file acts as the policy does."""

import hashlib
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np

from offpcc.deploy.export.contract import contract_of
from offpcc.deploy.export.deployed_policy import PREVIOUS_REWARD, DeployedPolicy
from offpcc.deploy.export.formats import FORMATS, Format
from offpcc.deploy.export.recording import Recording, record_steps
from offpcc.deploy.export.verify import verify
from offpcc.deploy.loaded_policy import LoadedPolicy, env_of
from offpcc.runs.provenance import processor
from offpcc.runs.saved_policy import saved_policy
from offpcc.storage.atomic_io import replace_folder, strict_json
from offpcc.storage.run_folder import RunFolder

RUNNER = Path(__file__).parents[1] / "runner.py"
OURS = {"policy.json", "check.npz", RUNNER.name, *(form.file for form in FORMATS.values())}


def export(
    run: str | Path | RunFolder,
    folder: str | Path | None = None,
    *,
    format: Literal["onnx", "torchscript"] = "onnx",
    best: bool = False,
    batch: bool = False,
    previous_action: Literal["state", "input"] = "state",
) -> Path:
    """Writes a run's policy into a folder, prints a line about it, and gives the file.

    The folder, by default `export` or `export-torchscript` in that of the run, has the policy;
    policy.json, which says what the policy reads and gives; check.npz, 200 steps of inputs, states
    and actions that any runtime can be checked against; and, with an ONNX file, runner.py, which
    acts with it and needs numpy and onnxruntime alone. An export that is there is replaced in one
    piece; other files beside it stay.

    best: the best policy instead of the newest. batch: the file takes any number of rows instead
    of one. previous_action: part of the state; or an input, for a robot that measures what was
    executed.

    Raises ExportMismatch, and writes nothing, where the file does not act as the policy did over
    the 200 steps; ImportError where a package is missing; ValueError for a policy that cannot be
    exported, and a folder that holds something else; and what `offpcc.load` raises.
    """
    source = run if isinstance(run, RunFolder) else RunFolder(run)
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}; there are {', '.join(FORMATS)}")
    form = FORMATS[format]()
    saved = saved_policy(source, best)
    env = env_of(source.path)
    try:
        policy = LoadedPolicy(saved.policy, saved.spec).requires_grad_(False)
        deployed = DeployedPolicy(policy, env.space_adapter, previous_action == "input").eval()
        contract = contract_of(source, deployed, env, saved.manifest)
        recording = record_steps(deployed, env)
    finally:
        env.close()
    contract["batch"] = "n" if batch else 1
    final = Path(folder) if folder else source / form.folder
    file = _write(form, deployed, recording, contract, final)
    print(_said(file, contract), flush=True)
    return file


def _write(
    form: Format,
    deployed: DeployedPolicy,
    recording: Recording,
    contract: dict[str, Any],
    final: Path,
) -> Path:
    """Writes the folder beside its place, and renames it once the policy in it is verified."""
    if final.exists() and not (final / "policy.json").is_file():
        raise ValueError(f"{final} is no export, and would be replaced; name another folder")
    draft = final.with_name(f".tmp-{final.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    file = draft / form.file
    try:
        _trace(form, deployed, file, contract)
        agreement = verify(deployed, form.player(file), recording, contract["batch"] == "n")
        played = {"steps": len(recording.starts), "processor": processor()}
        contract["verified"] = played | agreement.as_dict()
        contract["versions"]["export"] |= form.versions()
        form.describe(file, contract)
        content = file.read_bytes()
        contract |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        (draft / "policy.json").write_text(strict_json(contract), encoding="utf-8")
        np.savez_compressed(draft / "check.npz", **recording.arrays())  # type: ignore[arg-type]
        if file.suffix == ".onnx":
            shutil.copy(RUNNER, draft)
        if final.exists():
            _keep_others(final, draft)
        replace_folder(draft, final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return final / form.file


def _keep_others(final: Path, draft: Path) -> None:
    """Copies what an earlier export's folder has beside it into the new one."""
    for other in final.iterdir():
        if other.name not in OURS:
            copy = shutil.copytree if other.is_dir() else shutil.copy2
            copy(other, draft / other.name)


def _trace(form: Format, deployed: DeployedPolicy, file: Path, contract: dict[str, Any]) -> None:
    """Writes the file. Raises ValueError for networks that torch cannot trace."""
    try:
        form.write(deployed, file, contract["batch"] == "n")
    except OSError:  # of the disk
        raise
    except Exception as error:  # torch's exporters raise whatever a network's code leads to
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise ValueError(
            f"{contract['algo']} has no export to {form.file}: torch cannot trace it ({reason})"
        ) from error
    form.describe(file, contract)


def _said(file: Path, contract: dict[str, Any]) -> str:
    """The line about an export."""
    found = contract["verified"]
    integers = np.dtype(contract["action"]["dtype"]).kind in "iu"
    agrees = "all choices agree" if integers else f"agrees to {found['action_error']:.1e}"
    needs = ""
    if any(each["key"] == PREVIOUS_REWARD for each in contract["inputs"]):
        needs = "; the robot has to supply previous_reward"
    return (
        f"{file}: {contract['bytes'] / 1e3:.0f} kB, {agrees} over {found['steps']} steps, "
        f"{found['microseconds']['median']:.0f} µs an action{needs}"
    )
