"""Organisers' own SumUp credentials: the shop's profiles hold the tokens, and paypoll keeps them fresh."""
