"""Search: trials of settings from a space, proposed, pruned and recorded by optuna."""
