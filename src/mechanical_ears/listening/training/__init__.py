"""How the ears are trained (PyTorch)."""
