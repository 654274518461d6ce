"""scripts/install, on a host of stand-ins: what it asks before a version is put to use, and what follows from that.

tests/systemd/run-in-nspawn has the same on a real host, where it takes minutes.
"""

# The programs started here are the project's own script and stand-ins.
# ruff: noqa: S603, S607

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWNER = {"PAYPOLL_AS": "postgres", "PAYPOLL_DATABASE__URL": "postgresql:///shop"}
ADDRESS = {"PAYPOLL_DATABASE__URL": "postgresql://owner@db.example/shop"}

# systemd/paypoll-by-hand: the answers hang on what files say of the host.
_BY_HAND = """\
#!/bin/sh
cd "$HOST"
echo "${PAYPOLL_AS:-${PAYPOLL_DATABASE__URL:-service}} $*" >>said
case "$*" in
"config validate") exit "$(cat settings)" ;;
"db upgrade")
    echo new >tables
    [ ! -e killed ] || kill -9 "$PPID"
    ;;
"db status")
    [ "$(cat tables)" != away ] || exit 75
    [ "$(cat tables)" != old ] || { echo 'needed: 0008; run `paypoll db upgrade`' && exit 78; }
    [ "$(cat tables)" != newer ] || { echo 'needed: 0001; install the newer paypoll that made them' && exit 78; }
    [ -n "${PAYPOLL_AS:-}${PAYPOLL_DATABASE__URL:-}" ] || [ -e rights ] || { echo "may not SELECT" && exit 78; }
    ;;
pause) cat paused ;;
esac
"""
_PROGRAM = """\
#!/bin/sh
case "$*" in
--version) echo "paypoll, version 0" ;;
"pause --help") [ -e "$HOST/knows-pauses" ] ;;
"db grants"*) echo GRANT ;;
esac
"""
# psql as the owner: what it is given to do is the rights.
_RUNUSER = """\
#!/bin/sh
case "$*" in
*--command*) echo f ;;
*) grep -q GRANT && touch "$HOST/rights" ;;
esac
"""


class Host:
    """A host with a version in use, another beside it, and the script with its places moved there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        text = (ROOT / "scripts" / "install").read_text(encoding="utf-8")
        for place in ("home=/opt/paypoll", "wrapper=/usr/local/sbin/paypoll", "settings=/etc/paypoll/config.toml"):
            name, _, path = place.partition("=")
            assert f"\n{place}\n" in text
            text = text.replace(f"\n{place}\n", f"\n{name}={folder}{path}\n")
        text = text.replace("/etc/paypoll/setup.env", str(folder / "setup.env"))
        # A step of it alone, which ends where the switch would come.
        text = text.replace('main "$@"', 'switch_to() { say "put to use: ${1##*/}"; }\n"$@"')
        files = {"release/scripts/install": text, "release/systemd/paypoll-by-hand": _BY_HAND, "bin/runuser": _RUNUSER}
        files |= {"bin/install": "#!/bin/sh\n", "usr/local/sbin/paypoll": _BY_HAND, "etc/paypoll/config.toml": ""}
        files |= {f"opt/paypoll/venv-{name}/bin/paypoll": _PROGRAM for name in ("this", "other")}
        for name, content in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
            file.chmod(0o755)
        (folder / "opt/paypoll/.venv").symlink_to("venv-this")
        (folder / "opt/paypoll/.venv-before").symlink_to("venv-other")
        self.has(settings="0", tables="new", paused="Nothing is paused.", rights="")

    def has(self, **states: str | None) -> None:
        """Set what the host is like; None takes away."""
        for name, state in states.items():
            (self._folder / name).unlink(missing_ok=True)
            if state is not None:
                (self._folder / name).write_text(f"{state}\n", encoding="utf-8")

    def does(self, step: str, **environ: str) -> tuple[int, str]:
        """Do a step of the script. Return how it ended and what it said."""
        done = subprocess.run(
            ["bash", self._folder / "release/scripts/install", "eval", step],
            check=False,
            capture_output=True,
            text=True,
            env={"PATH": f"{self._folder / 'bin'}:{os.environ['PATH']}", "HOST": str(self._folder), **environ},
        )
        return done.returncode, done.stderr

    def upgrades(self, **environ: str) -> tuple[int, str]:
        """Bring the tables for the other version, and put it to use."""
        return self.does("bring_tables $home/venv-other; switch_to $home/venv-other", **environ)

    @property
    def has_rights(self) -> bool:
        """Whether the service may use the tables."""
        return (self._folder / "rights").exists()

    @property
    def said(self) -> list[str]:
        """What was asked of the program, and as whom."""
        return (self._folder / "said").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_upgrade_that_was_killed_between_the_tables_and_the_rights_is_finished_by_the_next(host: Host) -> None:
    host.has(tables="old", rights=None, killed="")
    code, said = host.upgrades(**OWNER)
    assert (code, host.has_rights, "put to use" in said) == (-9, False, False)
    host.has(killed=None)
    code, said = host.upgrades()
    assert (code, "PAYPOLL_AS=postgres" in said, "put to use" in said) == (1, True, False)
    code, said = host.upgrades(**OWNER)
    assert (code, host.has_rights, "put to use: venv-other" in said) == (0, True, True)
    assert host.said[-1] == "service db status"


def test_version_whose_rights_cannot_be_given_from_here_is_not_put_to_use(host: Host) -> None:
    host.has(tables="old", rights=None)
    code, said = host.upgrades(**ADDRESS)
    assert (code, "put to use" in said) == (1, False)
    assert "/venv-other/bin/paypoll db grants | psql" in said
    host.has(rights="")
    code, said = host.upgrades()
    assert (code, "put to use: venv-other" in said) == (0, True)


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ({"settings": "78"}, "does not take these settings"),
        ({"tables": "newer"}, "paypoll db restore --replace --as-it-was"),
        ({"tables": "old"}, "scripts/install, in its folder"),
        ({"tables": "away"}, "no (status 75, see above)"),
        ({"rights": None}, "no (status 78, see above)"),
    ],
)
def test_rollback_that_is_refused_says_why_and_names_a_restore_only_for_tables_that_are_newer(
    host: Host, states: dict[str, str | None], words: str
) -> None:
    host.has(**states)
    code, said = host.does("roll_back", **OWNER)
    assert (code, words in said, "put to use" in said) == (1, True, False)
    assert ("--as-it-was" in said) == (states == {"tables": "newer"})


def test_rollback_to_a_version_that_knows_no_pauses_is_refused_while_something_is_paused(host: Host) -> None:
    assert host.does("roll_back")[0] == 0
    host.has(paused="Paused:\n  order ORD-1, by margot: the bank is asking")
    code, said = host.does("roll_back")
    assert (code, "order ORD-1, by margot" in said, "put to use" in said) == (1, True, False)
    assert "--ignore-pauses" in said
    code, said = host.does("ignore_pauses=true; roll_back")
    assert (code, "order ORD-1, by margot" in said, "put to use: venv-other" in said) == (0, True, True)
    host.has(paused="paypoll: the database is out of reach")
    assert host.does("roll_back")[0] == 1
    host.has(**{"knows-pauses": ""})
    assert host.does("roll_back")[0] == 0


def test_dry_run_says_as_whom_tables_and_rights_would_be_made(host: Host) -> None:
    code, said = host.does("dry=true; bring_tables $home/venv-other", **OWNER)
    assert (code, "paypoll db grants, as the database's owner:\n   postgres" in said) == (0, True)
    assert "not known here" in host.does("dry=true; bring_tables $home/venv-other")[1]
