"""The simulator's own pages and control API, which SumUp does not have."""
