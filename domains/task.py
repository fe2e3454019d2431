"""Tasks and views: what a row of the table of ids says."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Task(NamedTuple):
    """An environment `module:Class`, its time limit in steps, and its own settings.

    An environment that is not `ours` is any environment of flat observations, or of pictures.
    """

    entry_point: str
    steps: int
    settings: Mapping[str, Any] = MappingProxyType({})
    ours: bool = True


class TaskView(NamedTuple):
    """One id: what of a task's observation is shown, and so what is hidden.

    The parts apply in this order: the entries at `zero` are zero, those at `first_look` after the
    first observation; the entries at `keep` (None: all) stay; noise of a deviation, dropout with a
    probability, a delay in steps; then the previous action, then a window of the last `window`
    frames of these, the oldest first or the newest. Each action is taken `repeat` times. If it is
    `privileged`, the observation is a mapping of that and of all that the task itself shows.
    """

    name: str
    task: Task
    hidden: str
    keep: tuple[int, ...] | None = None
    previous_action: bool = False
    window: int = 1
    zero: tuple[int, ...] = ()
    first_look: tuple[int, ...] = ()
    noise: float = 0.0
    dropout: float = 0.0
    delay: int = 0
    repeat: int = 1
    newest_first: bool = False
    privileged: bool = False

    @property
    def id(self) -> str:
        """The id that gymnasium knows."""
        return f"{self.name}-v0"

    @property
    def description(self) -> str:
        """One line on what is hidden or disturbed, and on what else is shown in its place."""
        hidden = [self.hidden]
        hidden += [f"noise of {self.noise:g}"] if self.noise else []
        hidden += [f"dropout of {self.dropout:g}"] if self.dropout else []
        hidden += [f"delay of {self.delay} steps"] if self.delay else []
        hidden += [f"each action {self.repeat} times"] if self.repeat > 1 else []
        extra = ["the previous action"] if self.previous_action else []
        extra += [f"the last {self.window} frames"] if self.window > 1 else []
        extra += ["all of it, as another key"] if self.privileged else []
        line = ", ".join(hidden)
        return f"{line}; shown: {', '.join(extra)}" if extra else line

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the functions in `offpcc.domains.make`."""
        shown = self._asdict()
        del shown["name"], shown["task"]
        made = {"entry_point": self.task.entry_point, "settings": dict(self.task.settings)}
        return made | shown | {"hidden": self.description}

    def harder(self, suffix: str) -> "TaskView":
        """Return this row with a suffix, such as -noise0.1 or -dropout0.2-privileged, to its name.

        With -repeat<k> an episode ends after as many simulated steps as before, rounded up.
        Raises ValueError for another suffix than -noise, -dropout, -delay, -repeat and -privileged,
        for a size of zero, and for what this row has already.
        """
        if not re.fullmatch(
            r"(-(noise|dropout)\d+(\.\d+)?|-(delay|repeat)\d+|-privileged)+", suffix
        ):
            raise ValueError(
                f"{suffix!r} is none of -noise<x>, -dropout<x>, -delay<k>, -repeat<k>, -privileged"
            )
        sizes: dict[str, Any] = {}
        for what, size in re.findall(r"-([a-z]+)([\d.]*)", suffix):
            if what in sizes or getattr(self, what) != self._field_defaults[what]:
                raise ValueError(f"{self.name}{suffix} has two sizes of {what}")
            kind = float if what in ("noise", "dropout") else int
            sizes[what] = kind(size) if size else True
        if not all(sizes.values()):
            raise ValueError(f"{suffix!r} has a size of zero; leave that suffix out")
        row = self._replace(name=self.name + suffix, **sizes)
        steps = -(-self.task.steps * self.repeat // row.repeat)
        return row._replace(task=self.task._replace(steps=steps))
