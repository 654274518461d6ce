"""The payment of an order, pure: is it paid, and what follows? No database, no network, no template."""
