"""The commands, a module each: parse, call, render. Nothing else."""
