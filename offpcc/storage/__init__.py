"""What lasts on the disk: atomic files, checkpoints, the folder of a run."""
