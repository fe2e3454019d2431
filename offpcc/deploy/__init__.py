"""A trained policy at work: loaded, played, recorded, demonstrated."""
