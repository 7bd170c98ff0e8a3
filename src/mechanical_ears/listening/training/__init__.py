"""Training of the listener and of the article's network (PyTorch)."""
