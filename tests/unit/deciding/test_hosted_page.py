"""Which addresses of a page go into a mail to a customer: SumUp's own, while they live, and nobody else's."""

from datetime import datetime, timedelta

import pytest

from paypoll.payments.evidence import Evidence, ReadCheckout
from paypoll.payments.gateway import CheckoutStatus, Found
from paypoll.payments.hosted_page import HostedPage, hosted_page
from paypoll.testing import NOW, an_answer, an_order

API = "https://api.sumup.com"
PAGE = "https://checkout.sumup.com/pay/1"


def found(
    url: object = PAGE, api: str = API, status: str = CheckoutStatus.FAILED, valid_until: datetime | None = None
) -> HostedPage | None:
    made = NOW - timedelta(minutes=1)
    answer = an_answer(status, raw={"hosted_checkout_url": url}, made_at=made, valid_until=valid_until)
    evidence = Evidence().with_read(ReadCheckout(answer.id, ("MPLATFORM",)), Found(answer))
    return hosted_page(an_order(), evidence, api, NOW)


@pytest.mark.parametrize(
    "url", [PAGE, "https://sumup.com/pay", "https://api.sumup.com/pay", "https://pay.eu.sumup.com/"]
)
def test_page_at_sumups_domain_is_linked(url: str) -> None:
    page = found(url)
    assert page is not None
    assert (page.url, page.until) == (url, NOW + timedelta(minutes=24))


@pytest.mark.parametrize(
    "url",
    [
        "http://checkout.sumup.com/pay/1",
        "https://checkout.sumup.com.thief.example/pay",
        "https://notsumup.com/pay",
        "https://user@checkout.sumup.com/pay",
        "https://checkout.sumup.com:8443/pay",
        "https://checkout.sumup.com/pay\n",
        "https://[broken",
        "javascript:alert(1)",
        "//checkout.sumup.com/pay",
        PAGE + "x" * 500,
        "",
        None,
        7,
    ],
)
def test_any_other_page_is_not(url: object) -> None:
    assert found(url) is None


def test_page_of_the_sandbox_is_linked_only_where_the_sandbox_is_asked() -> None:
    assert found("http://127.0.0.1:8080/pay/1", api="http://127.0.0.1:8080") is not None
    assert found("http://127.0.0.1:8081/pay/1", api="http://127.0.0.1:8080") is None
    assert found("http://0.0.1:8080/pay/1", api="http://127.0.0.1:8080") is None


@pytest.mark.parametrize("minutes", [-60, 0, 5])
def test_page_that_ends_too_soon_to_pay_is_not_linked(minutes: int) -> None:
    assert found(valid_until=NOW + timedelta(minutes=minutes)) is None
    assert found(valid_until=NOW + timedelta(minutes=minutes + 120)) is not None


@pytest.mark.parametrize("status", [CheckoutStatus.EXPIRED, CheckoutStatus.PAID, "NEW"])
def test_page_of_a_checkout_that_cannot_be_paid_is_not_linked(status: str) -> None:
    assert found(status=status) is None
