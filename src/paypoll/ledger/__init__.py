"""SumUp's transactions and payouts held against the orders, both ways; and refunds."""
