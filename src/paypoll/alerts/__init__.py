"""What admins read, each condition once."""
