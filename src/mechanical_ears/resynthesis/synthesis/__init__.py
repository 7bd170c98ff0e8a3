"""From a control map to sound."""
