"""A note as sines and noise: taken apart, put together again; nothing learned."""
