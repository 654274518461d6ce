"""`paypoll setup`: from a shop's folder and a SumUp key to a running timer. A module a concern; `session` leads."""
