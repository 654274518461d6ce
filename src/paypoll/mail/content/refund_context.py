"""What the mail about a refund has to say."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Self

from paypoll.mail.content.contexts import ConfirmationContext
from paypoll.mail.content.reading import Reader


@dataclass(frozen=True, slots=True)
class RefundContext(ConfirmationContext):
    """Money that has gone back to the customer: `refunded`, to the `card` as its owner knows it (may be empty).

    `whole`: the order is refunded in full. `beside`: another payment of it than the one that its tickets rest on.
    `void_tickets` are no longer valid, `kept` counts those that still are. `charged_back`: the customer's bank took it.
    """

    refunded: Decimal = Decimal(0)
    card: str = ""
    whole: bool = False
    beside: bool = False
    void_tickets: tuple[str, ...] = ()
    kept: int = 0
    charged_back: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the context as JSON."""
        return {
            **super(RefundContext, self).to_json(),
            "refunded": str(self.refunded),
            "card": self.card,
            "whole": self.whole,
            "beside": self.beside,
            "void_tickets": list(self.void_tickets),
            "kept": self.kept,
            "charged_back": self.charged_back,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the context that the JSON holds. Raise ComposeError when it holds none."""
        reader = Reader(content, "a refund")
        return replace(
            super(RefundContext, cls).from_json(content),
            refunded=reader.money("refunded"),
            card=reader.text("card", default=""),
            whole=reader.truth("whole", default=False),
            beside=reader.truth("beside", default=False),
            void_tickets=reader.texts("void_tickets"),
            kept=reader.number("kept"),
            charged_back=reader.truth("charged_back", default=False),
        )
