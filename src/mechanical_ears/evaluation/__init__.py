"""Evaluation of pitch detectors and of generated notes, by an independent network."""
