"""Playable instruments: sampling, mapping of recordings, export for samplers, songs."""
