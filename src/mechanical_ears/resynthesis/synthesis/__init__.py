"""From control map to sound."""
