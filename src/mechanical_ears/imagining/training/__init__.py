"""Training of the imagination (PyTorch)."""
