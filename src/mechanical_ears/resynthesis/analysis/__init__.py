"""From sound to control map."""
