"""Explore: a web page with a map of imagined instruments to listen to, change, play and save."""
