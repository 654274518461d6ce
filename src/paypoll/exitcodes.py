"""Exit statuses, after sysexits(3), so that systemd and monitoring can tell what a failed run needs."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What paypoll's exit status means to whoever started it."""

    OK = 0
    """It finished, whatever became of the orders."""
    INCOMPLETE = 1
    """It finished, and not all is well: some orders met an unexpected error (they stay due), some of many were refused,
    a mail could not be delivered, or `reconcile` found what does not fit, or could not read all."""
    USAGE = 2
    """The command line is wrong."""
    REFUSED = 65
    """What was asked for is not allowed as things stand. Nothing was changed."""
    NOT_FOUND = 66
    """What was asked for is not there; or several were found, where one is wanted."""
    BUG = 70
    """An error nobody foresaw. Please report it."""
    CANNOT_WRITE = 73
    """A file that was asked for, or that has to be there first, could not be written: a full disk, a missing folder."""
    TRY_LATER = 75
    """The database, SumUp or the mail server is out of reach. The next run carries on."""
    NOT_ALLOWED = 77
    """Whoever called may look, and not do this; another user may."""
    SETTINGS = 78
    """Settings, secrets or the database's schema must be put right by a person."""
    INTERRUPTED = 130
    """SIGINT."""
    TERMINATED = 143
    """SIGTERM."""
