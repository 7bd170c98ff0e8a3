"""The `ears` command."""
