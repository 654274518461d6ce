"""What mails say: contexts, templates, headers, the calendar file."""
