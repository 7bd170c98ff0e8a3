"""Who judges generated notes while the generator is trained."""
