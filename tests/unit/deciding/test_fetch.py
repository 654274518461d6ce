"""Asking SumUp about an order: who is told when."""

import pytest

from paypoll.payments.fetch import fetch_evidence
from paypoll.payments.gateway import CheckoutStatus, Found
from paypoll.testing import NOW, FakeGateway, a_policy, a_transaction, an_answer, an_order


def test_paid_checkout_is_told_of_while_there_is_more_to_ask() -> None:
    """The printing process is started then: it loads while the transaction is asked for."""
    answer = an_answer()
    gateway = FakeGateway(checkouts={answer.id: Found(answer)}, transactions={"txn-1": Found(a_transaction())})
    asked_before: list[int] = []
    fetch_evidence(an_order(), gateway, a_policy(), NOW, on_paid=lambda: asked_before.append(len(gateway.asked)))
    assert asked_before == [1]
    assert [kind for kind, _ in gateway.asked] == ["read", "transaction"]


@pytest.mark.parametrize("status", [CheckoutStatus.PENDING, CheckoutStatus.FAILED, CheckoutStatus.EXPIRED])
def test_checkout_that_is_not_paid_is_not_told_of(status: CheckoutStatus) -> None:
    answer = an_answer(status=status)
    told: list[None] = []
    gateway = FakeGateway(checkouts={answer.id: Found(answer)})
    fetch_evidence(an_order(), gateway, a_policy(), NOW, on_paid=lambda: told.append(None))
    assert told == []
