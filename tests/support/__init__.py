"""What several tests use: small instruments, models, servers, and where files are."""
