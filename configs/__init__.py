"""Configs: gin files, and the suites of --compare, as package data."""
