"""From a recording to its control map."""
