"""The environments of the project; importing this package registers their ids with gymnasium.

Its name is `offpcc.domains`, in a checkout too. offpcc imports it as soon as gymnasium is imported.

`HIDDEN` says, for each id, what its view hides from the agent; `harder` adds noise, dropout, delay
or repeated actions to an id. No environment is imported until it is made.
"""

import gymnasium

from .table import TABLE
from .task import TaskView

__all__ = ["HIDDEN", "harder"]

if __name__ != "offpcc.domains":  # under another name, each class would be there twice
    raise ImportError("offpcc's environments are offpcc.domains; importing offpcc registers them")

HIDDEN: dict[str, str] = {row.id: row.description for row in TABLE}


def _register(row: TaskView) -> None:
    ours = row.task.ours
    gymnasium.register(
        id=row.id,
        entry_point="offpcc.domains.make:single" if ours else "offpcc.domains.make:foreign",
        vector_entry_point="offpcc.domains.make:several" if ours else None,
        max_episode_steps=row.task.steps,
        # Our environments themselves refuse what these two wrappers watch for, and faster.
        order_enforce=not ours,
        disable_env_checker=True,
        kwargs=row.arguments(),
    )


for _row in TABLE:
    _register(_row)


def harder(id: str) -> str:
    """Register an id of the table with suffixes, such as pendulum-va-noise0.2-v0; return the id.

    One that is registered already stays as it is.

    Suffixes are -noise<deviation>, -dropout<probability>, -delay<steps>, -repeat<times>, and
    -privileged, with which the observation is a mapping of what is shown and of all that there is.
    Raises ValueError for others, or if no id of the table comes before them.
    """
    if id in HIDDEN:
        return id
    name = id.removesuffix("-v0")
    begun = [row for row in TABLE if name.startswith(f"{row.name}-")]
    if not begun:
        raise ValueError(f"no id of the table begins {id!r}")
    longest = max(begun, key=lambda row: len(row.name))
    row = longest.harder(name.removeprefix(longest.name))
    _register(row)
    HIDDEN[row.id] = row.description
    return row.id
