"""paypoll verifies a ticket shop's SumUp payments, issues the tickets and tells whoever must know."""

__version__ = "0.2.0.dev0"
