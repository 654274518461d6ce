"""Web addresses, hosts, mail addresses and link patterns."""

from email.utils import parseaddr

import pytest

from paypoll.settings.addresses import (
    ehlo_name,
    guarded_web_address,
    host_name,
    is_loopback,
    mail_address,
    mail_sender,
    ping_address,
    web_address,
)
from paypoll.settings.links import event_pattern, fill, link_pattern


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.8.9.1", "::1"])
def test_loopback_host_of_this_machine_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost.example.org", "127.0.0.1.example.org", "10.0.0.1", "0.0.0.0"])  # noqa: S104 - no binding
def test_loopback_host_of_another_machine_is_not(host: str) -> None:
    assert not is_loopback(host)


def test_web_address_loses_its_last_slash() -> None:
    assert web_address("https://shop.example/sub/") == "https://shop.example/sub"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shop.example",
        "ftp://shop.example",
        "https://",
        "https:///path",
        "https://a b",
        "https://a\n.example",
        "https://shop.example:port",
        "https://shop.example:99999",
        "https://user:hunter2@shop.example",
        "https://shop.example/?a=b",
        "https://shop.example/#a",
        "https://[::1",
        "javascript:alert(1)",
    ],
)
def test_web_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"web address|must") as caught:
        web_address(text)
    assert "hunter2" not in str(caught.value)


def test_web_address_with_a_query_is_kept_where_one_may_be() -> None:
    assert web_address("https://ping.example/a?b=c/", query=True) == "https://ping.example/a?b=c/"


@pytest.mark.parametrize(
    "text",
    [
        "https://ping.example/0b5a",
        "https://ping.example/key/slug?create=1",
        "https://kuma.example/api/push/TOKEN",
        "https://kuma.example/sub/api/push/TOKEN?status=up&msg=OK&ping=",
    ],
)
def test_ping_address_that_can_say_both_is_kept(text: str) -> None:
    assert ping_address(text) == text


@pytest.mark.parametrize(
    ("query", "name"), [("status=up", "status"), ("state=complete", "state"), ("a=b&STATUS=", "STATUS"), ("s=0", "s")]
)
def test_ping_address_that_would_call_every_run_good_is_refused(query: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"has {name}= behind"):
        ping_address(f"https://ping.example/a?{query}")


def test_guarded_address_without_tls_is_for_this_machine_only() -> None:
    assert guarded_web_address("http://127.0.0.1:8080") == "http://127.0.0.1:8080"
    assert guarded_web_address("http://[::1]:8080/") == "http://[::1]:8080"
    with pytest.raises(ValueError, match="must be https"):
        guarded_web_address("http://localhost.example")


@pytest.mark.parametrize("text", ["", "a b", "smtp://mail.example", "user@mail.example", "a\nb", "a/b"])
def test_host_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        host_name(text)


@pytest.mark.parametrize("text", ["a@shop.example", "a.b+c@shop.example", "o'neil@localhost"])
def test_mail_address_is_taken(text: str) -> None:
    assert mail_address(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a@",
        "@b",
        "a@b@c",
        "a b@c.example",
        "a@c.example\n",
        "a,b@c.example",
        ".a@c.example",
        "A <a@c.example>",
    ],
)
def test_mail_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a mail address"):
        mail_address(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a@shop.example", ""),
        ("Tickets St. Helier <a@shop.example>", "Tickets St. Helier"),
        ('"Tickets, Inc." <a@shop.example>', "Tickets, Inc."),
        ("Zoë & Söhne <a@shop.example>", "Zoë & Söhne"),
    ],
)
def test_sender_is_understood_as_the_mail_library_does(text: str, name: str) -> None:
    assert parseaddr(mail_sender(text)) == (name, "a@shop.example")


@pytest.mark.parametrize(
    "text",
    ["Tickets", "Tickets, Inc. <a@b.example>", "A <a@b.example> B", "A (B) <a@b.example>", "A <>", "<a@b> <c@d>"],
)
def test_sender_that_would_be_misread_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"mail address|quotes"):
        mail_sender(text)


def test_link_is_filled_with_the_order_number_quoted() -> None:
    pattern = link_pattern("{base_url}/orders/{order_number}/{order_id}")
    link = fill(pattern, base_url="https://shop.example", order_id=7, order_number="../A B?")
    assert link == "https://shop.example/orders/..%2FA%20B%3F/7"


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("{base_url}/orders/", "needs {order_id} or {order_number}"),
        ("{base_url}/{order}/", "{order} is no placeholder"),
        ("{base_url}/{order_id.__class__}/", "is no placeholder"),
        ("{base_url}/{order_id!r}/", "stands alone"),
        ("{base_url}/{order_id:>9}/", "stands alone"),
        ("{base_url}/{order_id", "without its partner"),
        ("{base_url}/{}", "is no placeholder"),
        ("/orders/{order_id}", "is not a web address"),
    ],
)
def test_link_pattern_that_leads_nowhere_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is checked below
        link_pattern(pattern)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["", "mail.example.org", "xn--bcher-kva.example", "[192.0.2.1]", "[IPv6:2001:db8::1]"])
def test_ehlo_name_of_a_machine_is_taken(name: str) -> None:
    assert ehlo_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "mail",
        "mail.",
        "a b.example",
        "bücher.example",
        "192.0.2.1",
        "[192.0.2]",
        "[2001:db8::1]",
        "a.b\r\nRSET",
        "[]",
    ],
)
def test_ehlo_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name for EHLO"):
        ehlo_name(name)


def test_event_pattern_leads_to_an_event_or_is_empty() -> None:
    for pattern in ("", "{base_url}/events/{event_slug}/", "https://a.example/?event={event_id}"):
        assert event_pattern(pattern) == pattern
    for wrong, said in (("{base_url}/events/", "to lead to an event"), ("{base_url}/{order_id}", "no placeholder")):
        with pytest.raises(ValueError, match=said):
            event_pattern(wrong)
