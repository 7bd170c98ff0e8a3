"""A note as sines and noise: analysis, control maps, synthesis; nothing is learned."""
