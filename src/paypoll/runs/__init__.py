"""One run: select, verify, decide, apply, deliver, report."""
