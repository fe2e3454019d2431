"""Everything that can end a run, by name; the command line has an exit code for each."""

import signal

FAULT = 6  # the exit code for a fault of an environment, also where it took its process along
LOST_TOO_OFTEN = 9  # the exit code for a machine or a worker that was lost again and again


class ConfigError(ValueError):
    """A config says something that it cannot mean; the message has file and line."""


class RunExistsError(ValueError):
    """The run is there already, and was to be neither continued nor replaced."""


class RunMissingError(ValueError):
    """There is no such run."""


class RunLockedError(RuntimeError):
    """Another process is at work on the run."""


class DivergedError(RuntimeError):
    """Too many updates in a row were not finite."""


class NoUpdateError(RuntimeError):
    """A run came to its last step without a single update."""


class NoCheckpointError(RuntimeError):
    """No checkpoint of the run is valid."""


class StorageError(OSError):
    """The disk did not take what had to be kept."""


class EnvironmentFault(RuntimeError):  # noqa: N818
    """An environment raised, or gave a number that is not finite; says where and when."""


class WorkersLostError(RuntimeError):
    """A worker that collects experience was lost again and again."""


class ExportMismatch(RuntimeError):  # noqa: N818
    """An exported policy does not act as the one that it was made of."""


class CallbackError(ValueError):
    """A callback raised; the message says which, and what."""


class CallTimeout(BaseException):
    """A call of an environment does not answer; raised inside it, and not for it to catch."""


class Stopped(Exception):  # noqa: N818
    """A signal, `number`, asked the run to stop; `again` continues it."""

    def __init__(self, number: int, again: str = "--resume") -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; continue with {again}")
        self.number = number
