"""The synthesis in PyTorch, with gradients: to sound, and to the ears' features."""
