"""The gin edge: settings, their types and ranges, and which files they come from."""
