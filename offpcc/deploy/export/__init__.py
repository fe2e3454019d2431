"""A trained policy as a file that runs without offpcc, its memory state in and out."""
