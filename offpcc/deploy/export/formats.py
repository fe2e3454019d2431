"""Formats: ONNX for any runtime, TorchScript for libtorch."""

import json
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.distributions import Distribution

from offpcc.deploy.export.deployed_policy import DeployedPolicy

Feed = Mapping[str, NDArray[Any]]  # by the names of the inputs, (n, …) each
Play = Callable[[Feed], Sequence[NDArray[Any]]]  # gives the outputs in their order
KEY = "offpcc"  # of the contract inside a file
TRACED = 2  # rows of the batch that is traced, where its axis is free: 1 would be taken for fixed


class Format(ABC):
    """How a policy is written, described and played."""

    file: ClassVar[str]
    folder: ClassVar[str]  # in that of a run, unless another one is named
    packages: ClassVar[tuple[str, ...]]  # that decide what is in the file

    @abstractmethod
    def write(self, deployed: DeployedPolicy, path: Path, batch: bool) -> None:
        """Writes the file; batch: with a free batch axis."""

    @abstractmethod
    def describe(self, path: Path, contract: Mapping[str, Any]) -> None:
        """Puts the contract into the file."""

    @abstractmethod
    def player(self, path: Path) -> Play:
        """What plays the file."""

    def versions(self) -> dict[str, str]:
        """Of the packages that decide what is in the file."""
        return {name: version(name) for name in self.packages}


class Onnx(Format):
    """One ONNX file, weights inside. Raises ImportError where the extra is missing."""

    file, folder = "policy.onnx", "export"
    packages = ("onnx", "onnxscript", "onnxruntime")

    def __init__(self) -> None:
        try:
            import onnx
            import onnxruntime  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError as error:
            raise ImportError(f"{error}: pip install 'offpcc[onnx]'") from error
        self._onnx = onnx

    def write(self, deployed: DeployedPolicy, path: Path, batch: bool) -> None:
        """See `Format`."""
        examples = deployed.examples(TRACED if batch else 1)
        free = {0: torch.export.Dim("n")} if batch else None
        with _tracing():
            torch.onnx.export(
                deployed,
                examples,
                path,
                input_names=deployed.input_names,
                output_names=deployed.output_names,
                dynamic_shapes=((free,) * len(examples),) if batch else None,
                dynamo=True,
                external_data=False,
                verbose=False,
            )

    def describe(self, path: Path, contract: Mapping[str, Any]) -> None:
        """See `Format`."""
        model = self._onnx.load(path)
        self._onnx.helper.set_model_props(model, {KEY: json.dumps(contract)})
        self._onnx.save(model, path)

    def player(self, path: Path) -> Play:
        """The runner's own session."""
        from offpcc.deploy.runner import Runner

        session = Runner(path).session
        return lambda feed: session.run(None, dict(feed))


class TorchScript(Format):
    """One file for libtorch and `torch.jit.load`, made by tracing."""

    file, folder = "policy.pt", "export-torchscript"
    packages = ("torch",)

    def write(self, deployed: DeployedPolicy, path: Path, batch: bool) -> None:
        """See `Format`."""
        with _tracing():
            traced = torch.jit.trace(
                deployed, deployed.examples(TRACED if batch else 1), check_trace=False
            )
            torch.jit.save(torch.jit.freeze(traced.eval()), path)

    def describe(self, path: Path, contract: Mapping[str, Any]) -> None:
        """See `Format`; the contract is the extra file `offpcc`."""
        with _tracing():
            torch.jit.save(torch.jit.load(path), path, _extra_files={KEY: json.dumps(contract)})

    def player(self, path: Path) -> Play:
        """See `Format`."""
        with _tracing():
            module = torch.jit.load(path)

        def play(feed: Feed) -> list[NDArray[Any]]:
            with torch.no_grad():
                found = module(*(torch.from_numpy(np.asarray(value)) for value in feed.values()))
            return [each.numpy() for each in (found if isinstance(found, tuple) else (found,))]

        return play


FORMATS: dict[str, type[Format]] = {"onnx": Onnx, "torchscript": TorchScript}


@contextmanager
def _tracing() -> Iterator[None]:
    """Without gradients, without the exporters' warnings, which are for those who write operators.

    And without the checks of torch's distributions, which Stable-Baselines3's policies use: they
    branch on data.
    """
    level, checks = logging.root.manager.disable, Distribution._validate_args
    logging.disable(logging.WARNING)
    Distribution.set_default_validate_args(False)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        Distribution.set_default_validate_args(checks)
