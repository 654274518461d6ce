"""The shop's own database: its tables as paypoll sees them, and every statement that touches them."""
