"""Files that samplers read and write."""
