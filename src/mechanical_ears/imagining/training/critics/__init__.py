"""Critics: networks that judge generated notes while the generator is trained."""
