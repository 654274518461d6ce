"""A Postfix of its own for a test, on loopback: it judges as its settings say, and hands what it takes to the sink.

No service of the machine is touched: queue, settings and the master process are the test's. Postfix must be started
by root.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MASTER = Path("/usr/lib/postfix/sbin/master")
_PATIENCE = 60.0
_PRIVATE = (
    "active",
    "bounce",
    "corrupt",
    "defer",
    "deferred",
    "flush",
    "hold",
    "incoming",
    "private",
    "saved",
    "trace",
)
_SERVICES = """
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
error unix - - n - - error
retry unix - - n - - error
smtp unix - - n - - smtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""
_SETTINGS = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.shop.example
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
relay_domains = shop.example
relay_transport = smtp:[127.0.0.1]:{sink}
default_transport = smtp:[127.0.0.1]:{sink}
smtp_host_lookup = native
smtp_destination_recipient_limit = 1
"""


def why_not() -> str:
    """Return why there can be no Postfix here; empty when there can."""
    if not _MASTER.exists():
        return "Postfix is not installed"
    if os.geteuid() != 0:
        return "Postfix must be started by root"
    return ""


class Postfix:
    """A running Postfix. `judge` gives it other settings."""

    def __init__(self, folder: Path, sink_port: int) -> None:
        self._folder = folder
        self._base = _SETTINGS.format(folder=folder, sink=sink_port)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        (folder / "etc").mkdir()
        (folder / "etc" / "master.cf").write_text(f"127.0.0.1:{self.port} inet n - n - - smtpd\n{_SERVICES}")
        owner = pwd.getpwnam("postfix").pw_uid
        for name in ("queue", "data", "queue/pid", *(f"queue/{name}" for name in (*_PRIVATE, "public", "maildrop"))):
            (folder / name).mkdir()
            if name not in {"queue", "queue/pid"}:
                os.chown(folder / name, owner, -1)
        self._process: subprocess.Popen[bytes] | None = None

    def judge(self, **settings: str) -> None:
        """Judge mail by these settings from now on. Of `access`, each line is an address and what is said to it."""
        access = settings.pop("access", "")
        (self._folder / "etc" / "access").write_text(access, encoding="utf-8")
        lines = [
            f"{name} = {value.format(access=f'texthash:{self._folder}/etc/access')}\n"
            for name, value in settings.items()
        ]
        # Without networks of our own nobody may relay.
        lines.insert(0, "mynetworks =\n")
        (self._folder / "etc" / "main.cf").write_text(self._base + "".join(lines), encoding="utf-8")
        self.stop()
        self._process = subprocess.Popen(  # noqa: S603 - Postfix itself
            [_MASTER, "-c", self._folder / "etc", "-d"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait_until_it_listens()

    def stop(self) -> None:
        """End it, with all its processes."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(_PATIENCE)
            self._process = None

    def _wait_until_it_listens(self) -> None:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE) as line:
                    line.recv(100)
                    return
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)


@contextmanager
def running_postfix(sink_port: int) -> Iterator[Postfix]:
    """Run a Postfix that hands on to this port."""
    # Not below pytest's own folder: Postfix works as another user, who must be able to get there.
    folder = Path(tempfile.mkdtemp(prefix="paypoll-postfix-"))
    folder.chmod(0o755)
    postfix = Postfix(folder, sink_port)
    try:
        yield postfix
    finally:
        postfix.stop()
        shutil.rmtree(folder, ignore_errors=True)
