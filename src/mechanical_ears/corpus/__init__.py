"""Corpora: notes from data sets, recordings, SoundFonts and formulas, and the store on disk."""
