"""Explore: a page where people wander through sound space and play what they find."""
