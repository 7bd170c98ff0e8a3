"""File formats of samplers: readers and writers."""
