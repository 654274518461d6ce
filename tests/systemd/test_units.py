"""The units: systemd takes them, they are hardened, and what they name is there."""

# systemd-analyze is started by the name that it has everywhere.
# ruff: noqa: S603, S607

import os
import re
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

from paypoll.exitcodes import ExitCode
from paypoll.settings.keys import secret_keys
from paypoll.settings.load import load_settings
from paypoll.settings.model import SECTIONS, VerificationSettings

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
GUIDE = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("deployment.md", "operation.md"))

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian: apt-get install systemd)"
)


def statements(name: str) -> dict[str, list[str]]:
    """Return what a unit says: `Section.Key` and its values, in order."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in (UNITS / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, f"{name}: {line}"
            found.setdefault(f"{section}.{key}", []).append(value)
    return found


def seconds(duration: str) -> int:
    """Return a duration such as `4min 30s` in seconds."""
    sizes = {"s": 1, "min": 60, "h": 3600}
    return sum(int(number) * sizes[unit] for number, unit in re.findall(r"(\d+)(s|min|h)", duration))


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they would be installed, with stand-ins for the programs that they start."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    for unit in [*UNITS.glob("*.service"), *UNITS.glob("*.timer"), *UNITS.glob("*.path")]:
        text = unit.read_text(encoding="utf-8")
        (tmp_path / unit.name).write_text(re.sub(r"(?m)^ExecStart=/opt/\S+", f"ExecStart={program}", text), "utf-8")
    for drop_in in (UNITS / "every-minute").iterdir():
        folder = tmp_path / f"{drop_in.name.removesuffix('.conf')}.d"
        folder.mkdir()
        shutil.copy(drop_in, folder)
    return tmp_path


@needs_systemd
def test_units_and_drop_ins_are_understood_by_systemd(installed: Path) -> None:
    names = ["paypoll.service", "paypoll.timer", "paypoll.path", "paypoll-failure.service"]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(installed / name) for name in names)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )
    complaints = [line for line in done.stderr.splitlines() if "paypoll" in line or str(installed) in line]
    assert complaints == []


@needs_systemd
def test_service_exposure_is_at_most_1_5(installed: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(installed / "paypoll.service")],
        check=False,
        capture_output=True,
        text=True,
    )
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert score, done.stderr
    assert float(score[1]) <= 1.5


@needs_systemd
@pytest.mark.parametrize("calendar", ["paypoll.timer", "every-minute/paypoll.timer.conf"])
def test_timer_period_is_the_one_that_the_limits_are_made_for(calendar: str) -> None:
    (when,) = [value for value in statements(calendar)["Timer.OnCalendar"] if value]
    done = subprocess.run(
        ["systemd-analyze", "calendar", "--iterations=2", when], check=True, capture_output=True, text=True
    )
    minutes = [int(minute) for minute in re.findall(r"\d\d:(\d\d):00", done.stdout)[-2:]]
    assert (minutes[1] - minutes[0]) % 60 == (5 if calendar == "paypoll.timer" else 1)


@pytest.mark.parametrize(("unit", "period"), [("paypoll.service", 300), ("every-minute/paypoll.service.conf", 60)])
def test_run_that_hangs_is_over_before_the_next_is_due(unit: str, period: int) -> None:
    said = statements(unit)
    (start,), (stop,) = said["Service.TimeoutStartSec"], said["Service.TimeoutStopSec"]
    assert seconds(start) + seconds(stop) <= period


def test_time_budget_ends_before_the_run_is_told_to_stop(settings_file: Path) -> None:
    budget = VerificationSettings().time_budget.total_seconds()
    assert budget < seconds(statements("paypoll.service")["Service.TimeoutStartSec"][0])
    (variable,) = statements("every-minute/paypoll.service.conf")["Service.Environment"]
    name, _, value = variable.partition("=")
    shorter = load_settings(settings_file, {name: value}).verification.time_budget
    limit = seconds(statements("every-minute/paypoll.service.conf")["Service.TimeoutStartSec"][0])
    assert shorter.total_seconds() < limit


def test_empty_calendar_comes_first_in_the_drop_in() -> None:
    # Otherwise every minute would come on top of every five, and the timer would never be slower than both.
    assert statements("every-minute/paypoll.timer.conf")["Timer.OnCalendar"][0] == ""


def test_service_counts_being_told_to_stop_as_success_and_nothing_else() -> None:
    assert statements("paypoll.service")["Service.SuccessExitStatus"] == [str(int(ExitCode.TERMINATED))]


def test_service_names_a_unit_for_failures_that_is_there() -> None:
    (unit,) = statements("paypoll.service")["Unit.OnFailure"]
    assert (UNITS / unit).is_file()
    assert "Unit.OnFailure" not in statements(unit)


def test_service_loads_every_secret_that_the_settings_know() -> None:
    loaded = dict(value.split(":") for value in statements("paypoll.service")["Service.LoadCredential"])
    # The database's address is a secret only if it holds the password, which has a key of its own.
    wanted = {f"{section}_{key}" for section in SECTIONS for key in secret_keys(section)}
    assert set(loaded) == wanted - {"database_url"}
    # Without a slash: a credential that is not there is left out. With one, the service would not start.
    assert all(source == f"paypoll.{name}" for name, source in loaded.items())
    by_hand = (UNITS / "paypoll-by-hand").read_text(encoding="utf-8")
    assert all(f"--property=LoadCredential={name}:{source} " in by_hand for name, source in loaded.items())
    assert all(f"/etc/credstore/{source}`" in GUIDE for source in loaded.values())


def test_commands_that_units_start_are_installed_by_the_guide() -> None:
    commands = [
        value.split()[0]
        for name in ("paypoll.service", "paypoll-failure.service")
        for value in statements(name)["Service.ExecStart"]
    ]
    assert commands == ["/opt/paypoll/.venv/bin/paypoll", "/opt/paypoll/bin/report-failure"]
    said = install_dry_run()
    assert re.search(r"install -D -m 0755 -t /opt/paypoll/bin \S+/systemd/report-failure", said)
    assert re.search(r"mv -T -- /opt/paypoll/.venv.new /opt/paypoll/.venv\b", said)
    assert "paypoll" in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]


def install_dry_run(*arguments: str, **environ: str) -> str:
    """Return what scripts/install says that it would do."""
    done = subprocess.run(
        [ROOT / "scripts" / "install", "--dry-run", *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environ},
    )
    return done.stderr


def test_every_file_of_the_folder_is_installed_by_the_script_or_the_guide() -> None:
    files = [file.relative_to(ROOT).as_posix() for file in UNITS.rglob("*") if file.is_file()]
    said = install_dry_run() + GUIDE
    assert [file for file in files if not re.search(rf"{re.escape(file)}\b", said)] == []


def test_install_without_root_or_with_an_unknown_argument_is_refused() -> None:
    for arguments, reason in ((["--sideways"], "unknown argument: --sideways"), ([], "it takes root|systemd is not")):
        done = subprocess.run(
            [ROOT / "scripts" / "install", *arguments],
            check=False,
            capture_output=True,
            text=True,
            user=65534 if os.geteuid() == 0 else None,
        )
        assert done.returncode == 2
        assert re.search(reason, done.stderr)


def test_uninstall_takes_away_all_that_install_puts_outside_of_its_own_folder() -> None:
    taken = " ".join(re.findall(r"^   (?:rm|find) .*$", install_dry_run("--uninstall"), re.MULTILINE))
    put = re.findall(
        r"/(?:etc|usr)/[^ >\\']*[^ >\\'/]", " ".join(re.findall(r"^   .*$", install_dry_run(), re.MULTILINE))
    )
    names = {"/usr/local/share/man/man1": "/usr/local/share/man/man1/paypoll.1"}
    shared = {"/etc/systemd/system", "/etc/bash_completion.d"}
    assert {path for path in put if names.get(path, path) not in taken} - shared == set()


@needs_systemd
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")
def test_users_and_folders_are_made_as_the_units_need_them(tmp_path: Path) -> None:
    (tmp_path / "etc/paypoll").mkdir(parents=True)
    for name in ("config.toml", "read-only.toml"):
        (tmp_path / "etc/paypoll" / name).touch(0o666)
    for command in ("systemd-sysusers", "systemd-tmpfiles --create"):
        name = command.split()[0].replace("systemd-", "paypoll.")
        done = subprocess.run(
            [*command.split(), f"--root={tmp_path}", str(UNITS / name)], check=True, capture_output=True, text=True
        )
        assert "gnoring" not in done.stderr  # what it does not understand, it ignores
    accounts = {line.split(":")[0]: line.split(":") for line in _lines(tmp_path / "etc/passwd")}
    groups = {line.split(":")[0]: int(line.split(":")[2]) for line in _lines(tmp_path / "etc/group")}
    assert accounts["paypoll"][5:] == ["/var/lib/paypoll", "/usr/sbin/nologin"]
    modes = {}
    for name in wanted_modes(groups):
        status = (tmp_path / name).stat()
        modes[name] = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    assert modes == wanted_modes(groups)


def wanted_modes(groups: dict[str, int]) -> dict[str, tuple[int, int, int]]:
    """Return mode, user and group of each file and folder."""
    return {
        "etc/paypoll": (0o751, 0, groups["paypoll"]),
        "etc/paypoll/config.toml": (0o640, 0, groups["paypoll"]),
        "etc/paypoll/read-only.toml": (0o640, 0, groups["paypoll-read"]),
        "etc/credstore": (0o700, 0, 0),
        "var/backups/paypoll": (0o2770, 0, groups["paypoll"]),
        "run/paypoll-ask": (0o750, 0, groups["paypoll-ask"]),
        "run/paypoll-ask/now": (0o660, 0, groups["paypoll-ask"]),
    }


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def test_unit_files_hold_no_key_twice_but_those_that_add_up() -> None:
    adding = {"Service.LoadCredential", "Service.SystemCallFilter", "Timer.OnCalendar"}
    for file in [*UNITS.glob("paypoll*.service"), *UNITS.glob("*.timer"), *UNITS.glob("*.path")]:
        twice = {key for key, values in statements(file.name).items() if len(values) > 1}
        assert twice <= adding, file.name


def test_run_in_nspawn_without_its_tools_is_skipped_with_a_reason(tmp_path: Path) -> None:
    for tool in ("bash", "dirname", "readlink"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or pytest.skip(f"no {tool}"))
    script = Path(__file__).with_name("run-in-nspawn")
    done = subprocess.run(
        ["bash", str(script), str(tmp_path / "tree")],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(tmp_path)},
        executable=str(tmp_path / "bash"),
    )
    assert done.returncode == 77
    assert re.match(r"skipped: (it takes root|debootstrap is not installed)", done.stderr)
    assert not (tmp_path / "tree").exists()


@pytest.mark.parametrize(
    "script", ["scripts/install", "systemd/report-failure", "systemd/paypoll-by-hand", "tests/systemd/run-in-nspawn"]
)
def test_script_can_be_started_and_read_by_its_shell(script: str) -> None:
    path = ROOT / script
    assert os.access(path, os.X_OK)
    shell = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("#!").split()[-1].rsplit("/", 1)[-1]
    subprocess.run([shell, "-n", str(path)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="the wrapper is for root")
def test_wrapper_hides_settings_of_the_environment_hands_over_what_is_written_and_breaks_silence(
    tmp_path: Path,
) -> None:
    programs, folder = tmp_path / "programs", tmp_path / "here"
    folder.mkdir()
    programs.mkdir()
    stand_ins = {
        "systemctl": 'case "$*" in *ReadWritePaths*) echo /srv/no-such-folder;; esac',
        "runuser": "exit 0",
        "id": "echo 0",
        "chown": "exit 0",
        # What it is asked for; it writes where the command would, and ends as it is told to.
        "systemd-run": 'printf "%s\\n" "$@" >"$SAID/arguments"; for word; do case $word in'
        ' --property=EnvironmentFile=*) cp "${word#*=*=}" "$SAID/environment";'
        ' stat -c %a "${word#*=*=}" >"$SAID/mode";;'
        ' --property=BindPaths=*) word=${word#*=*=}; echo done >"${word%%:*}/week.html";; esac; done; exit "$CODE"',
        "paypoll": "echo itself",
    }
    for name, text in stand_ins.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (programs / name).chmod(0o755)

    def paypoll(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        environ = {
            "PATH": f"{programs}:/usr/bin:/bin", "SAID": str(tmp_path), "CODE": str(code),
            "PAYPOLL_PROGRAM": str(programs / "paypoll"), "PAYPOLL_AS": "postgres",
            "PAYPOLL_DATABASE__URL": 'postgresql://owner:a"b$c\\d`e@h/shop',
        }  # fmt: skip
        if code == 226:
            del environ["PAYPOLL_AS"]
        wrapper = UNITS / "paypoll-by-hand"
        return subprocess.run([wrapper, *words], cwd=folder, env=environ, check=False, capture_output=True, text=True)

    assert paypoll("report", "--html", "week.html").returncode == 0
    assert (folder / "week.html").read_text(encoding="utf-8") == "done\n"
    arguments = (tmp_path / "arguments").read_text(encoding="utf-8")
    assert "owner:" not in arguments
    assert re.search(r"(?m)^--property=ExecStartPost=\+/bin/rm -f /run/paypoll-by-hand\.\w+/environment$", arguments)
    assert (tmp_path / "mode").read_text(encoding="utf-8") == "600\n"
    kept = (tmp_path / "environment").read_text(encoding="utf-8")
    assert kept == 'PAYPOLL_DATABASE__URL="postgresql://owner:a\\"b\\$c\\\\d\\`e@h/shop"\n'
    silent = paypoll("queue", code=226)
    assert silent.returncode == 226
    assert "/srv/no-such-folder, named by ReadWritePaths=" in silent.stderr
    assert f"--working-directory={folder}" in (tmp_path / "arguments").read_text(encoding="utf-8")
    assert [paypoll(*words).stdout for words in (("setup", "--yes"), ("refund", "X", "--help"))] == ["itself\n"] * 2
    assert list(Path("/run").glob("paypoll-by-hand*")) == []
