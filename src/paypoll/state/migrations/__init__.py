"""Alembic's migrations of paypoll's own tables, one module a step in `versions`."""
