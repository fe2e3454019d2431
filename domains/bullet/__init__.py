"""Environments in PyBullet: scenes, an arm, and tasks of it; the extra `bullet`."""
