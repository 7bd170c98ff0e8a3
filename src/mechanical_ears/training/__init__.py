"""What every training does alike: the run folder, checkpoints, resuming, devices, progress."""
