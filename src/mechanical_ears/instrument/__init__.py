"""Instruments: notes gathered, mapped to keys and velocities, written for samplers, played."""
