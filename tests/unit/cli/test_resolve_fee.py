"""What a person is asked before a listing fee is closed says what is true of it."""

import pytest

from paypoll.cli.commands.resolve_fee import close_question
from paypoll.payments.listing_fees import ListingFee
from paypoll.payments.order import Fulfilment
from paypoll.testing import NOW, a_fee, an_event

TAKEN = Fulfilment(5, "chk-1", "", NOW, NOW)


@pytest.mark.parametrize(
    ("fee", "question"),
    [
        (a_fee(), "Close listing fee LF-1 and publish nothing?"),
        (a_fee(status="paid", settled=TAKEN), "Close listing fee LF-1 and publish nothing?"),
        (
            a_fee(event=an_event()),
            "The event of listing fee LF-1 is published already, and stays so. Close the fee?",
        ),
        (
            a_fee(status="paid", settled=TAKEN, event=an_event()),
            "Listing fee LF-1 is paid and its event published, and stays so. Close what admins were told of it too?",
        ),
    ],
    ids=["open", "paid_draft", "published_unpaid", "published_paid"],
)
def test_row_60p_question_before_closing_says_what_is_published_already(fee: ListingFee, question: str) -> None:
    assert close_question(fee) == question
