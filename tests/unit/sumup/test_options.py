"""Options that would leak the credential, or never end, are refused."""

import pytest

from paypoll.errors import SettingsError
from paypoll.sumup.options import SumUpOptions


@pytest.mark.parametrize(
    "url",
    [
        "http://api.sumup.com",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "ftp://api.sumup.com",
        "api.sumup.com",
        "https://",
        "https://user:hunter2@api.sumup.com",
        "https://api.sumup.com?x=1",
        "https://api.sumup.com#x",
        "https://[::1",
        "https://api.sumup.com:99999",
    ],
)
def test_options_base_url_that_is_unsafe_is_refused(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        SumUpOptions(base_url=url)
    assert "sumup.base_url" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://api.sumup.com/", "http://127.0.0.1:8080", "http://[::1]:1", "http://localhost"]
)
def test_options_base_url_https_or_loopback_is_taken_without_its_slash(url: str) -> None:
    assert SumUpOptions(base_url=url).root == url.rstrip("/")


def test_options_impossible_numbers_are_all_named() -> None:
    with pytest.raises(SettingsError) as caught:
        SumUpOptions(tries=0, requests_per_second=0, retry_budget=-1, read_timeout=float("nan"))
    assert len(caught.value.problems) == 4
