"""How tickets are shared out among messages."""

from base64 import encodebytes
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paypoll.mail.splitting import Plan, mailed_size, plan_attachments

SHARED = 20_000
EACH = 5_000


def pdf_size(tickets: range) -> int:
    """Return the size of one PDF with so many tickets: what they share, and each one's own."""
    return SHARED + EACH * len(tickets)


def never(tickets: range) -> int:
    raise AssertionError(f"{tickets} should not have been printed")


def test_tickets_that_fit_are_one_pdf_each_and_nothing_is_printed_again() -> None:
    sizes = [SHARED + EACH] * 3
    limit = 3 * mailed_size(SHARED + EACH)
    assert plan_attachments(sizes, limit, never, body=0) == Plan(together=False, messages=(range(3),))


def test_tickets_one_byte_too_large_are_put_into_one_pdf() -> None:
    sizes = [SHARED + EACH] * 3
    limit = 3 * mailed_size(SHARED + EACH) - 1
    assert plan_attachments(sizes, limit, pdf_size, body=0) == Plan(together=True, messages=(range(3),))


def test_tickets_too_large_for_one_pdf_are_as_few_messages_as_will_do() -> None:
    limit = mailed_size(SHARED + 4 * EACH)
    plan = plan_attachments([SHARED + EACH] * 10, limit, pdf_size, body=0)
    assert plan == Plan(together=True, messages=(range(3), range(3, 6), range(6, 10)))


def test_tickets_each_too_large_have_a_message_each() -> None:
    plan = plan_attachments([SHARED] * 3, 1000, pdf_size, body=0)
    assert plan == Plan(together=False, messages=(range(1), range(1, 2), range(2, 3)))


def test_room_for_text_is_taken_from_the_limit() -> None:
    limit = mailed_size(SHARED + EACH)
    assert not plan_attachments([SHARED + EACH], limit, pdf_size, body=0).together
    assert plan_attachments([SHARED + EACH] * 2, limit, pdf_size, body=1).messages == (range(1), range(1, 2))


def test_room_for_the_calendar_file_is_taken_from_the_first_message_alone() -> None:
    one = mailed_size(SHARED + EACH)
    fits = plan_attachments([SHARED + EACH], one + 50, pdf_size, body=0, beside=50)
    assert fits == Plan(together=False, messages=(range(1),))
    # Two tickets in each message would do without it.
    plan = plan_attachments([SHARED + EACH] * 4, mailed_size(SHARED + 2 * EACH), pdf_size, body=0, beside=50)
    assert plan.messages == (range(1), range(1, 2), range(2, 4))


@pytest.mark.parametrize("limit", [0, -5, 100])
def test_limit_below_the_text_alone_still_gives_every_ticket_a_message(limit: int) -> None:
    assert len(plan_attachments([SHARED] * 4, limit, pdf_size).messages) == 4


def test_five_hundred_tickets_are_planned_with_few_printings() -> None:
    printed: list[range] = []

    def size(tickets: range) -> int:
        printed.append(tickets)
        return pdf_size(tickets)

    plan = plan_attachments([SHARED + EACH] * 500, 200_000, size)
    assert sum(map(len, printed)) <= 3 * 500
    assert 30 < len(plan.messages) < 40


@given(st.integers(min_value=0, max_value=300_000))
@example(300_000)
def test_mailed_size_is_that_of_base64_and_a_little_more(size: int) -> None:
    encoded = len(encodebytes(bytes(size)).replace(b"\n", b"\r\n"))
    assert encoded < mailed_size(size) < encoded + 600


@given(
    st.lists(st.integers(min_value=1, max_value=50_000), min_size=1, max_size=30),
    st.integers(min_value=0, max_value=500_000),
    st.sampled_from([0, 3000, 30_000]),
    st.sampled_from([0, 2000]),
)
def test_plan_holds_every_ticket_once_in_order_and_fits_where_it_can(
    sizes: list[int], limit: int, shared: int, beside: int
) -> None:
    def together(tickets: range) -> int:
        common = min(shared, *sizes)
        return common + sum(sizes[ticket] - common for ticket in tickets)

    plan = plan_attachments(sizes, limit, together, body=0, beside=beside)
    assert [ticket for message in plan.messages for ticket in message] == list(range(len(sizes)))
    size: Callable[[range], int] = (
        (lambda tickets: mailed_size(together(tickets)))
        if plan.together
        else (lambda tickets: sum(mailed_size(sizes[ticket]) for ticket in tickets))
    )
    extra = [beside, *[0] * len(plan.messages)]
    assert all(
        size(message) + more <= limit or len(message) == 1 for message, more in zip(plan.messages, extra, strict=False)
    )
