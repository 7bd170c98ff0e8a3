"""Listening: the key, frequency, family, velocity and more of a recorded note."""
