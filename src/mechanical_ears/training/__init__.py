"""What all trainings share: run folders, checkpoints, devices, schedules, batches, progress."""
