"""Runs and collectors on many machines, by Ray."""
