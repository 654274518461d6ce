"""Errors of the operator's world, sorted by what the operator must do about them.

Each carries one sentence that names the file, key, order or column and the next step. The command line shows
that sentence alone; a traceback is for bugs.
"""

from paypoll.exitcodes import ExitCode


class PaypollError(Exception):
    """An error with a sentence for the operator and an exit status."""

    exit_code = ExitCode.BUG


class SettingsError(PaypollError):
    """Settings or secrets are wrong; `problems` holds one sentence for each, never a secret's value."""

    exit_code = ExitCode.SETTINGS

    def __init__(self, problems: list[str], *, source: str = "settings") -> None:
        self.problems = tuple(problems)
        self.source = source
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"{source}: {len(problems)} thing{'s' if len(problems) != 1 else ''} to put right\n{lines}")


class SchemaError(PaypollError):
    """The shop's tables, or paypoll's own, are not what this version of paypoll can work with."""

    exit_code = ExitCode.SETTINGS


class TryLaterError(PaypollError):
    """Something paypoll depends on is out of reach. Nothing was lost; the next run carries on."""

    exit_code = ExitCode.TRY_LATER


class TooMuchError(PaypollError):
    """SumUp has more than one answer of its can hold, and no way to ask for less. Trying again does not help."""

    exit_code = ExitCode.INCOMPLETE


class DatabaseUnavailableError(TryLaterError):
    """The database cannot be reached, or went away in the middle of the work."""


class ClockError(TryLaterError):
    """This machine's clock and the database's differ by too much to tell an order's age."""


class NotFoundError(PaypollError):
    """There is no such thing as was asked for: a finding, an event, a mail, a payment."""

    exit_code = ExitCode.NOT_FOUND


class OrderNotFoundError(NotFoundError):
    """No order has this number or id."""


class RefusedError(PaypollError):
    """What was asked for is not allowed in the order's present state; the sentence says why and what is."""

    exit_code = ExitCode.REFUSED


class CannotWriteError(PaypollError):
    """A file that somebody needs could not be written. What was to follow was not begun."""

    exit_code = ExitCode.CANNOT_WRITE


class NotAllowedError(PaypollError):
    """Whoever called may look, and was asked to change something that another user may change."""

    exit_code = ExitCode.NOT_ALLOWED


class UnreadableFeeError(PaypollError):
    """A row of this listing fee, or of its event, holds a value that nothing can be made of."""

    exit_code = ExitCode.INCOMPLETE

    def __init__(self, reference: str, words: str) -> None:
        super().__init__(
            f"listing fee {reference} holds a value that cannot be read; put it right in the shop: {words}"
        )


class UnreadableOrderError(PaypollError):
    """A row of this order holds a value that nothing can be made of, such as an event in the year 20260."""

    exit_code = ExitCode.INCOMPLETE

    def __init__(self, order_id: int, number: str, words: str) -> None:
        self.order_id = order_id
        self.number = number or f"(id {order_id})"
        super().__init__(f"order {self.number} holds a value that cannot be read; put it right in the shop: {words}")
