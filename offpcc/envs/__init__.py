"""Other people's environments, behind one guarded adapter."""
