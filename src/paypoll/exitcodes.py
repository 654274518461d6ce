"""Exit statuses, after sysexits(3), so that systemd and monitoring can tell what a failed run needs."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What paypoll's exit status means to whoever started it."""

    OK = 0
    """It finished, whatever became of the orders."""
    INCOMPLETE = 1
    """It finished, but some orders met an unexpected error (they stay due), or the thing asked for is not there."""
    USAGE = 2
    """The command line is wrong."""
    BUG = 70
    """An error nobody foresaw. Please report it."""
    CANNOT_WRITE = 73
    """A file that was asked for, or that has to be there first, could not be written: a full disk, a missing folder."""
    TRY_LATER = 75
    """The database, SumUp or the mail server is out of reach. The next run carries on."""
    NOT_ALLOWED = 77
    """Whoever called may look, and not do this."""
    SETTINGS = 78
    """Settings, secrets or the database's schema must be put right by a person."""
    INTERRUPTED = 130
    """SIGINT."""
    TERMINATED = 143
    """SIGTERM."""
