"""Message-IDs, which must never change nor break a header."""

import pytest

from paypoll.mail.content.message_id import new_message_id, part_message_id


def test_new_message_id_differs_each_time_and_has_the_domain() -> None:
    made = {new_message_id("example.org") for _ in range(100)}
    assert len(made) == 100
    assert all(one.startswith("<") and one.endswith("@example.org>") for one in made)


@pytest.mark.parametrize("domain", ["", "bücher.example", "example.org>\r\nBcc: x", "a b", "-a"])
def test_new_message_id_for_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(ValueError, match="not a domain"):
        new_message_id(domain)


def test_part_message_id_follows_from_the_mails_own() -> None:
    whole = new_message_id("example.org")
    parts = [part_message_id(whole, part) for part in (1, 2, 3)]
    assert parts[0] == whole
    assert len(set(parts)) == 3
    assert parts == [part_message_id(whole, part) for part in (1, 2, 3)]


@pytest.mark.parametrize("broken", ["", "x@y", "<x>", "<x@y>\r\nBcc: z", "<x@y z>", "<<x@y>>"])
def test_part_message_id_of_what_is_none_is_refused(broken: str) -> None:
    with pytest.raises(ValueError, match="not a Message-ID"):
        part_message_id(broken, 1)
