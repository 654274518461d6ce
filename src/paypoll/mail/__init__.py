"""Mail: what messages say, how they are composed, and how they reach the mail server."""
