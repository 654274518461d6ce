"""paypoll's own tables: what is under watch, what was done, and what has still to be mailed."""
