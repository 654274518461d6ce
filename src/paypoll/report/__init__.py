"""The report: what became of the orders and the money of a period. `sums` is pure; `load` reads, the others show."""
