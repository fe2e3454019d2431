"""Limits: how long an episode may be before it is learned from, parted or cut; in steps."""

LONG_EPISODE = 2_000  # twice the longest of our recipes'; a longer one is learned from in progress
UNLIMITED_PIECE = 200  # the same for one copy of an environment without a time limit
MAX_EVALUATED = 10_000  # of an evaluation's episode, in an environment without a time limit
