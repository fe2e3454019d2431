"""Suites of runs, their archived rows, reports and plots."""
