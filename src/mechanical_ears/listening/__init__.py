"""Hearing the pitch of notes."""
