"""Runs and collectors on many machines, by Ray."""

import os

# Before Ray is imported: its own lines about lost processes and nodes, pages of them, are left out.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "^")
