"""What a delivery of the outbox came to."""

from dataclasses import dataclass


@dataclass(slots=True)
class Delivered:
    """What a delivery came to. `halted`: the trouble that stopped it; `cut_short`: it was told to stop.

    `alerts_halted`: the trouble that stopped the delivery of alerts, which may leave when customers' mail may not, and
    the other way round. `unexpected` counts the mails, among those put off, that met an error nobody foresaw.
    """

    sent: int = 0
    put_off: int = 0
    undeliverable: int = 0
    unexpected: int = 0
    halted: str = ""
    alerts_halted: str = ""
    cut_short: bool = False

    def add(self, more: "Delivered") -> None:
        """Add what another delivery, after this one, came to."""
        self.sent += more.sent
        self.put_off += more.put_off
        self.undeliverable += more.undeliverable
        self.unexpected += more.unexpected
        self.halted = self.halted or more.halted
        self.alerts_halted = self.alerts_halted or more.alerts_halted
        self.cut_short = more.cut_short
