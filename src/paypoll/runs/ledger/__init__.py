"""SumUp's ledger swept: pages read, each payment judged, findings written down."""
