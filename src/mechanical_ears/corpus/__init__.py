"""Corpora: where notes come from, and the store that training reads."""
