"""Measuring what the ears hear, and what the imagination invents."""
