"""The masters of a printing process, and which of them are trusted."""

from dataclasses import dataclass
from xml.etree.ElementTree import Element

import weasyprint

from paypoll.tickets.events import say
from paypoll.tickets.stamping import NotStampable
from paypoll.tickets.stamping.difference import FilledTemplate
from paypoll.tickets.stamping.fonts import FontCache
from paypoll.tickets.stamping.master import Master

_MOST_MASTERS = 8
_MOST_VAIN_TRIES = 8
"""More than the tickets that were stamped: to try a new master costs a third of a full print, and so does not pay."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """A stamped ticket, and whether it may leave before it was held against a full print."""

    pdf: bytes
    is_trusted: bool
    master: Master


class Stamper:
    """Stamps tickets from those that were printed in full before. Never fails: what it cannot do, it leaves.

    With `check`, as for templates that are not ours, the first ticket stamped from each master has to be printed in
    full as well; the first that has other bytes ends all stamping.
    """

    def __init__(self, styles: str, *, check: bool) -> None:
        self._styles = styles
        self._check = check
        self._fonts = FontCache()
        self._masters: list[Master] = []
        self._stamped = 0
        self._in_vain = 0
        self.is_on = True

    def stamp(self, filled: FilledTemplate) -> Stamped | None:
        """Return the ticket as stamped from some master; None when none will do."""
        reasons: list[str] = []
        for master in self._masters:
            pdf = self._try(master, filled, reasons)
            if pdf is not None:
                self._masters.remove(master)
                self._masters.insert(0, master)
                self._stamped += 1
                return Stamped(pdf, master.is_trusted or not self._check, master)
        if reasons:
            say("debug", "ticket_not_stamped", reasons=list(dict.fromkeys(reasons)))
        return None

    def keep(self, filled: FilledTemplate, root: Element, document: weasyprint.Document, pdf: bytes) -> None:
        """Keep a ticket that was printed in full as a master."""
        if self._in_vain > _MOST_VAIN_TRIES + self._stamped:
            self._end("stamping_does_not_pay")
        if self.is_on:
            self._masters = [Master(filled, root, document, pdf, self._fonts), *self._masters[: _MOST_MASTERS - 1]]

    def hold_against(self, stamped: Stamped, pdf: bytes) -> None:
        """Trust the master from now on if the full print of the same ticket has the same bytes; else trust none."""
        if stamped.pdf == pdf:
            stamped.master.is_trusted = True
            return
        say("warning", "tickets_are_not_stamped", reason="a stamped ticket had other bytes than its full print")
        self._end("stamping_differs")

    def _try(self, master: Master, filled: FilledTemplate, reasons: list[str]) -> bytes | None:
        was_tried = master.was_tried
        try:
            return master.stamp(filled, self._styles)
        except NotStampable as reason:
            reasons.append(str(reason))
            self._in_vain += master.was_tried and not was_tried
            if master.is_hopeless:
                self._masters = [other for other in self._masters if other is not master]
        except Exception as error:  # noqa: BLE001 -- whatever it is, the ticket can be printed in full
            # Not the error's text, which may hold the ticket's.
            say("warning", "ticket_not_stamped", error=type(error).__name__)
            self._masters = [other for other in self._masters if other is not master]
            self._in_vain += 1
        return None

    def _end(self, event: str) -> None:
        say("debug", event)
        self.is_on = False
        self._masters = []
