"""How the imagination is trained (PyTorch)."""
