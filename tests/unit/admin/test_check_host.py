"""What `paypoll check` says of settings that nobody has filled in, of a full disk, and of why SumUp is out of reach."""

import os
from datetime import timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tests.settings_text import Section, sound_settings, write_settings_file

from paypoll.admin.check.host import check_folders, check_placeholders
from paypoll.admin.check.result import Mark
from paypoll.admin.check.sumup import next_step
from paypoll.settings.load import load_settings
from paypoll.settings.model import Settings

UTC_HOST = ZoneInfo("UTC")


def settings(folder: Path, **changes: Section) -> Settings:
    return load_settings(write_settings_file(folder / "config.toml", sound_settings(**changes)), {})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("site.base_url", "https://tickets.example.org"),
        ("site.support_email", "support@example.org"),
        ("mail.sender", "Tickets <tickets@example.org>"),
        ("mail.host", "smtp.EXAMPLE.com"),
        ("alerts.to", ["ada@shop.je", "admin@example.net"]),
        ("alerts.ping_url", "https://ping.example.org/paypoll"),
    ],
)
def test_placeholder_of_the_example_file_is_a_problem(tmp_path: Path, key: str, value: str | list[str]) -> None:
    section, _, name = key.partition(".")
    (found,) = check_placeholders(settings(tmp_path, **{section: {name: value}}), UTC_HOST)
    assert (found.mark, found.next_step) == (Mark.PROBLEM, f"correct {key}")


def test_shop_whose_name_only_looks_like_the_placeholder_is_none(tmp_path: Path) -> None:
    own = settings(tmp_path, site={"base_url": "https://my-example.org", "support_email": "help@example.organic.je"})
    assert list(check_placeholders(own, UTC_HOST)) == []


@pytest.mark.parametrize(
    ("host", "site", "problem"),
    [
        (ZoneInfo("Europe/Jersey"), "UTC", True),  # as UTC in winter, an hour ahead in summer
        (timezone(timedelta(hours=2)), "UTC", True),
        (UTC_HOST, "UTC", False),
        (ZoneInfo("Europe/Jersey"), "Europe/Jersey", False),
    ],
)
def test_utc_is_a_problem_where_the_host_differs(
    tmp_path: Path, host: ZoneInfo | timezone, site: str, problem: bool
) -> None:
    found = list(check_placeholders(settings(tmp_path, site={"time_zone": site}), host))
    assert ["site.time_zone" in one.next_step for one in found] == [True] * problem


@pytest.mark.parametrize(
    ("blocks", "files", "said"),
    [(7 * 256, 10**6, "only 7 MB are free"), (10**6, 12, "only 12 more files (inodes)"), (10**6, 10**6, "GB free")],
)
def test_full_disk_is_named_with_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int, files: int, said: str
) -> None:
    disk = os.statvfs_result((4096, 4096, 10**7, blocks, blocks, 10**7, files, files, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    found = {one.topic: one for one in check_folders(settings(tmp_path, tickets={"media_folder": tmp_path}))}
    assert found["media folder"].mark is (Mark.OK if said == "GB free" else Mark.PROBLEM)
    assert said in found["media folder"].text


@pytest.mark.parametrize(
    ("detail", "step"),
    [
        ("the connection to SumUp failed: its name does not resolve (DNS) (tries: 3)", "name resolution"),
        ("the connection to SumUp failed: it was refused", "firewall"),
        ("no trusted TLS connection to SumUp: certificate has expired", "set the clock"),
        ("SumUp did not answer in time", "status page"),
        ("something else", "look at the network"),
    ],
)
def test_reason_why_sumup_is_out_of_reach_has_its_next_step(detail: str, step: str) -> None:
    assert step in next_step(detail)
