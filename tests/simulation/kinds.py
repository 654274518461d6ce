"""The kinds of trouble that a world may have besides its weather, by name: each can be switched on alone.

`PAYPOLL_SIMULATION_KINDS=second_payments,cheats` (or `scripts/test --simulation N --kinds second_payments,cheats`)
switches on these and no others; `all` and `none` are understood as well. Without it, the mended ones are on.
"""

import os
import random
from enum import StrEnum

KINDS = "PAYPOLL_SIMULATION_KINDS"
"""The environment variable that names the kinds to switch on."""


class Kind(StrEnum):
    """One kind of trouble. `stories` has what happens in each."""

    LATE_PAYMENTS = "late_payments"
    """Paid in the last hours of the window, after a retry on day 4, or seen as paid and never confirmed."""
    CLOSED_BROWSERS = "closed_browsers"
    """Paid on a hosted page that the shop never stored; the customer never came back."""
    LONG_OUTAGES = "long_outages"
    """paypoll does not run for days."""
    SECOND_PAYMENTS = "second_payments"
    """A second checkout, which the shop never stored or stored later, is paid as well, at any time."""
    NEW_CHECKOUTS = "new_checkouts"
    """The shop makes a checkout while SumUp is being asked about the order."""
    UNPAID_CONTRADICTIONS = "unpaid_contradictions"
    """SumUp says "not paid", and in the same breath something else."""
    REFUSED_CLOSINGS = "refused_closings"
    """A checkout that is not paid cannot be closed."""
    PAID_CONTRADICTIONS = "paid_contradictions"
    """SumUp says PAID, and its transaction says something else."""
    PASSING_CONTRADICTIONS = "passing_contradictions"
    """The same, but it mends itself, or is none when one looks closely."""
    CHEATS = "cheats"
    """An organiser makes a checkout under another's order, and pays himself."""
    ODD_REFERENCES = "odd_references"
    """The paid checkout is under a reference, or at a merchant, that is not the stored one's."""
    FRESH_RETRIES = "fresh_retries"
    """A new try on an order that is older than the age limit."""
    CLOCK_JUMPS = "clock_jumps"
    """A host's clock is hours or days off, and is put right again."""
    SUSPENDED_RUNS = "suspended_runs"
    """A run stands still for hours in the middle, and goes on."""
    CHANGED_MEANWHILE = "changed_meanwhile"
    """The shop moves the order to another status between SumUp's answer and what paypoll makes of it."""
    FORGOTTEN_VOIDS = "forgotten_voids"
    """The browser sets back a cancelled order that paypoll has told of, and the shop wrote no history."""
    LISTING_FEES = "listing_fees"
    """Organisers pay for their events to be published, in every way that a fee can be paid, and some that it cannot."""
    LEFT_OPEN = "left_open"
    """An order that gets nothing any more, paid by a checkout of which SumUp never says PAID."""
    CLOSED_REVIEWS = "closed_reviews"
    """A person closes a review without tickets, and then another checkout of the order is paid."""
    WRONG_WORLD = "wrong_world"
    """For hours SumUp knows nothing of anything, as to another account's key; what went to review is then rechecked."""
    RESTORED_SHOP = "restored_shop"
    """The shop is restored to an older moment than schema `paypoll`; ids of lost orders are given out again."""
    MONEY_BACK = "money_back"
    """Refunds and charge-backs after tickets were issued, in part and in full, with the shop's knowledge or without."""
    REVERSALS = "reversals"
    """A charge-back of an order with tickets, which the bank then reverses, perhaps after the shop has cancelled it."""
    OUT_OF_SIGHT = "out_of_sight"
    """A payment that no row names, or of an order that is not looked at any more."""
    SHARED_ACCOUNT = "shared_account"
    """The merchant's account serves another shop and card readers, too."""
    BOOKS_DIFFER = "books_differ"
    """SumUp forgets a payment, or changes its amount; tickets are there that nobody paid."""
    REFUNDS_BY_COMMAND = "refunds_by_command"
    """A person gives money back by `paypoll refund`, and dies in the middle, or asks twice."""
    EVERY_PAYMENT = "every_payment"
    """No trouble of its own: the payments of the usual customers are held to account as strictly as the others."""


LEDGER_KINDS = frozenset(
    {
        Kind.MONEY_BACK,
        Kind.REVERSALS,
        Kind.OUT_OF_SIGHT,
        Kind.SHARED_ACCOUNT,
        Kind.BOOKS_DIFFER,
        Kind.REFUNDS_BY_COMMAND,
    }
)
"""In worlds of these SumUp's ledger is swept, and each payment in it must be explained (`balance`)."""

MENDED_KINDS = LEDGER_KINDS | frozenset(
    {
        Kind.LATE_PAYMENTS,
        Kind.SECOND_PAYMENTS,
        Kind.UNPAID_CONTRADICTIONS,
        Kind.REFUSED_CLOSINGS,
        Kind.PAID_CONTRADICTIONS,
        Kind.PASSING_CONTRADICTIONS,
        Kind.CHEATS,
        Kind.CLOCK_JUMPS,
        Kind.SUSPENDED_RUNS,
        Kind.CLOSED_BROWSERS,
        Kind.NEW_CHECKOUTS,
        Kind.ODD_REFERENCES,
        Kind.LONG_OUTAGES,
        Kind.FORGOTTEN_VOIDS,
        Kind.CHANGED_MEANWHILE,
        Kind.LISTING_FEES,
        Kind.FRESH_RETRIES,
        Kind.EVERY_PAYMENT,
        Kind.CLOSED_REVIEWS,
        Kind.LEFT_OPEN,
        Kind.WRONG_WORLD,
        Kind.RESTORED_SHOP,
    }
)
"""The kinds that the program stands: these are on by default. Whoever mends a kind adds it."""


def switched_on() -> frozenset[Kind]:
    """Return the kinds that the worlds of this test session may have."""
    named = os.environ.get(KINDS)
    if named is None:
        return MENDED_KINDS
    if named in ("all", "none"):
        return frozenset(Kind) if named == "all" else frozenset()
    return frozenset(Kind(name.strip()) for name in named.split(","))


def draw_kinds(seed: int, among: frozenset[Kind]) -> frozenset[Kind]:
    """Draw up to three kinds for a world: many together would hide each other. One alone is in every world."""
    chance = random.Random(f"{seed} kinds")  # noqa: S311 - drawn from a seed, as is meant
    if len(among) <= 1:
        return among
    return frozenset(chance.sample(sorted(among), min(chance.choice((0, 1, 1, 2, 3)), len(among))))
