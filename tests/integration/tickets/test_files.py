"""Tickets' files on a real file system."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paypoll.tickets.files import FilesError, TicketFiles

NUMBER = "SUMMER-FES-A1B2C3D4E"
PDF = "tickets/pdfs/ticket_SUMMER-FES-A1B2C3D4E.pdf"
QR = "tickets/qr_codes/ticket_SUMMER-FES-A1B2C3D4E_qr.png"


def everything_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_write_of_new_ticket_makes_both_files_and_returns_the_shops_paths(tmp_path: Path) -> None:
    assert TicketFiles(tmp_path).write([(NUMBER, b"the pdf", b"the png")]) == [(PDF, QR)]
    assert (tmp_path / PDF).read_bytes() == b"the pdf"
    assert (tmp_path / QR).read_bytes() == b"the png"
    assert everything_below(tmp_path) == {PDF, QR}


def test_write_of_same_ticket_again_replaces_its_files(tmp_path: Path) -> None:
    files = TicketFiles(tmp_path)
    files.write([(NUMBER, b"a longer first pdf", b"png")])
    files.write([(NUMBER, b"second", b"png")])
    assert (tmp_path / PDF).read_bytes() == b"second"
    assert everything_below(tmp_path) == {PDF, QR}


def test_write_over_open_file_leaves_its_reader_the_whole_old_one(tmp_path: Path) -> None:
    files = TicketFiles(tmp_path)
    files.write([(NUMBER, b"old", b"png")])
    with (tmp_path / PDF).open("rb") as reader:
        files.write([(NUMBER, b"new", b"png")])
        assert reader.read() == b"old"


@pytest.mark.parametrize(("mask", "mode"), [(0o002, 0o644), (0o027, 0o640)])
def test_write_of_file_gives_it_mode_0644_less_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    with umask(mask):
        TicketFiles(tmp_path).write([(NUMBER, b"pdf", b"png")])
    assert {stat.S_IMODE((tmp_path / path).stat().st_mode) for path in (PDF, QR)} == {mode}


@pytest.mark.parametrize(
    "number",
    ["", ".", "..", "../../etc/x", "A/B", "A\\B", "A\x00B", "A\n", "A B", "A.B", "%2e%2e", "A" * 21, "|"],
)
def test_write_of_number_unfit_for_a_file_name_is_refused(tmp_path: Path, number: str) -> None:
    media = tmp_path / "a" / "media"
    media.mkdir(parents=True)
    with pytest.raises(FilesError):
        TicketFiles(media).write([(number, b"pdf", b"png")])
    assert everything_below(tmp_path) == set()


@pytest.mark.parametrize("number", ["LIVE_MUSIC-123", "ФЕСТИВАЛЬ-123", "lower-123"])
def test_write_of_number_made_by_the_shop_from_an_odd_slug_is_accepted(tmp_path: Path, number: str) -> None:
    ((path, _),) = TicketFiles(tmp_path).write([(number, b"pdf", b"png")])
    assert (tmp_path / path).read_bytes() == b"pdf"


def test_write_without_media_folder_fails_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(FilesError, match="No such file or directory"):
        TicketFiles(tmp_path / "not mounted").write([(NUMBER, b"pdf", b"png")])
    assert list(tmp_path.iterdir()) == []


def test_write_that_cannot_replace_leaves_no_temporary_file(tmp_path: Path) -> None:
    in_the_way = tmp_path / PDF
    in_the_way.mkdir(parents=True)
    with pytest.raises(FilesError) as failure:
        TicketFiles(tmp_path).write([(NUMBER, b"pdf", b"png")])
    assert everything_below(tmp_path) == set()
    assert NUMBER not in str(failure.value)
    assert failure.value.__suppress_context__
    assert failure.value.__cause__ is None
    assert str(in_the_way.parent) in str(failure.value)


def test_write_returns_when_files_and_then_their_names_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, int]] = []

    def sync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path.relative_to(tmp_path).as_posix(), len(everything_below(tmp_path))))

    monkeypatch.setattr(os, "fsync", sync)
    TicketFiles(tmp_path).write([(NUMBER, b"pdf", b"png"), ("ANOTHER", b"pdf", b"png")])
    assert [path.rsplit(".", 1)[0] for path, _ in synced] == [
        "tickets/pdfs/.ticket_SUMMER-FES-A1B2C3D4E.pdf",
        "tickets/qr_codes/.ticket_SUMMER-FES-A1B2C3D4E_qr.png",
        "tickets/pdfs/.ticket_ANOTHER.pdf",
        "tickets/qr_codes/.ticket_ANOTHER_qr.png",
        "tickets/pdfs",
        "tickets/qr_codes",
    ]
    assert synced[-2][1] == 4


WRITE_WITH_1000_BYTES_LEFT = """
import resource, signal, sys
from pathlib import Path
from paypoll.tickets.files import FilesError, TicketFiles

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    TicketFiles(Path(sys.argv[1])).write([(sys.argv[2], b"x" * 100_000, b"png")])
except FilesError as error:
    print(error)
"""


def test_write_to_full_disk_fails_and_leaves_the_old_file_alone(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: both stop a write half-way through.

    In a process of its own, because a limit once lowered stays.
    """
    TicketFiles(tmp_path).write([(NUMBER, b"old", b"png")])
    command = [sys.executable, "-c", WRITE_WITH_1000_BYTES_LEFT, str(tmp_path), NUMBER]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 -- ourselves
    assert said == f"{tmp_path / 'tickets/pdfs'}: File too large\n"
    assert (tmp_path / PDF).read_bytes() == b"old"
    assert everything_below(tmp_path) == {PDF, QR}


def test_write_below_a_file_instead_of_a_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "tickets").write_text("in the way")
    with pytest.raises(FilesError, match="Not a directory"):
        TicketFiles(tmp_path).write([(NUMBER, b"pdf", b"png")])
