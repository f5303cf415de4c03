"""What tuning consists of: a study that survives a kill, spaces of settings, trials, the front, and how it is told."""
