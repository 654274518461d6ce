"""Why SumUp cannot be reached is said, without what the libraries quote."""

import pytest
import requests
from requests.exceptions import RequestException

from paypoll.sumup.unreachable import what_happened


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9/v0.1?key=secret", "the connection to SumUp failed: it was refused"),
        ("http://sumup.invalid/v0.1?key=secret", "the connection to SumUp failed: its name does not resolve (DNS)"),
    ],
)
def test_reason_of_a_failed_connection_is_named(url: str, said: str) -> None:
    with pytest.raises(RequestException) as failed:
        requests.get(url, timeout=5)
    assert what_happened(failed.value) == said
