"""Measuring what the ears hear."""
