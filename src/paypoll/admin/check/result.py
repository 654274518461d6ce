"""What a check found."""

from dataclasses import dataclass
from enum import StrEnum

from paypoll.exitcodes import ExitCode


class Mark(StrEnum):
    """How it stands. WARNING is advice; only a PROBLEM changes the exit status."""

    OK = "OK"
    WARNING = "WARNING"
    PROBLEM = "PROBLEM"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of `paypoll check`: what was looked at, how it stands, and for a problem or a warning the next step.

    `exit_code` is what a problem asks for: SETTINGS where a person must put something right, TRY_LATER where
    something is out of reach.
    """

    mark: Mark
    topic: str
    text: str
    next_step: str = ""
    exit_code: ExitCode = ExitCode.OK


def fine(topic: str, text: str) -> CheckResult:
    """Return that all is well."""
    return CheckResult(Mark.OK, topic, text)


def skipped(topic: str, why: str) -> CheckResult:
    """Return that there was nothing to look at, or no way to."""
    return CheckResult(Mark.SKIPPED, topic, why)


def advice(topic: str, text: str, next_step: str) -> CheckResult:
    """Return that it works and could be better."""
    return CheckResult(Mark.WARNING, topic, text, next_step)


def wrong(topic: str, text: str, next_step: str) -> CheckResult:
    """Return a problem that a person must put right."""
    return CheckResult(Mark.PROBLEM, topic, text, next_step, ExitCode.SETTINGS)


def unreachable(topic: str, text: str, next_step: str) -> CheckResult:
    """Return a problem of the world outside, which may mend itself."""
    return CheckResult(Mark.PROBLEM, topic, text, next_step, ExitCode.TRY_LATER)
