"""A mail server that delivers nothing: every message becomes a file."""
