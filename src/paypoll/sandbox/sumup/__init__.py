"""The SumUp simulator: its endpoints over real HTTP, with faults to order."""
