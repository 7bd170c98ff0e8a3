"""Twins of the synthesis in PyTorch, which gradients pass."""
