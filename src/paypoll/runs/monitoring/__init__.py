"""What monitoring is told: a ping for a dead man's switch, and numbers for Prometheus."""
