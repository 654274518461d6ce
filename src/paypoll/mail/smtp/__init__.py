"""The mail server over SMTP: connections, sessions, and whom a refusal is about."""
