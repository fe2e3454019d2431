"""The worlds of the project; importing this package registers every id of the table with gymnasium.

`HIDDEN` says, for each id, what its view hides from the agent. No world is imported until it is
made.
"""

import gymnasium

from domains.table import TABLE

__all__ = ["HIDDEN"]

HIDDEN: dict[str, str] = {row.id: row.description for row in TABLE}

for _row in TABLE:
    gymnasium.register(
        id=_row.id,
        entry_point="domains.make:single",
        vector_entry_point="domains.make:several",
        max_episode_steps=_row.task.steps,
        # The worlds themselves refuse what these two wrappers watch for, and faster.
        order_enforce=False,
        disable_env_checker=True,
        kwargs=_row.arguments(),
    )
