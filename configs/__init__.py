"""Configs: gin files, as package data."""
