"""Asking SumUp until it answers, within reason: the one place where a request is tried again."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias

import structlog
from tenacity import RetryCallState, Retrying, retry_if_result, wait_exponential_jitter

from paypoll.clock import Clock
from paypoll.payments.gateway import BrokenAnswer, NoAnswer, NotSent
from paypoll.sumup import refusal
from paypoll.sumup.options import SumUpOptions
from paypoll.sumup.pace import Breaker, Pacer, StoppedError, Wait
from paypoll.sumup.transport import Lost, Reply, Request, Transport

log = structlog.get_logger(__name__)

STOPPED: Final = "stopped"
"""The detail of a NoAnswer whose cause is the run itself: it was told to stop."""

_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_SERVER_ERRORS: Final = range(500, 600)
_FIREWALL_PAUSE: Final = 5.0
_backoff = wait_exponential_jitter(multiplier=0.5, max=8, jitter=0.5)


@dataclass(frozen=True, slots=True)
class RequestSeen:
    """One HTTP request, for metrics. `status` is None when no answer came; `attempt` counts the tries from 1."""

    method: str
    template: str
    status: int | None
    seconds: float
    attempt: int


Observer: TypeAlias = Callable[[RequestSeen], None]
"""Told of every request, from the thread that made it."""

Outcome: TypeAlias = Reply | NoAnswer | BrokenAnswer
Ask: TypeAlias = Callable[[Request], Outcome]


@dataclass(slots=True)
class _Progress:
    """The state of one request's tries. `give_up_at` is on the monotonic clock, set by the first try."""

    tries: int = 0
    give_up_at: float = 0.0


class Exchange:
    """Sends the run's requests: paced, tried again when that may help, and not at all once SumUp is silent.

    `pacer` and `breaker` are shared by all threads. The breaker is only read here; whose call counts is for the
    client to say, since a call may take several requests.
    """

    def __init__(self, options: SumUpOptions, clock: Clock, wait: Wait, on_request: Observer) -> None:
        self.pacer = Pacer(options.requests_per_second, options.parallel_requests, clock, wait)
        self.breaker = Breaker(options.breaker_after)
        self._transport = Transport(options, clock)
        self._options = options
        self._clock = clock
        self._wait = wait
        self._on_request = on_request

    def ask(self, request: Request) -> Outcome:
        """Return SumUp's reply of whatever status, save those that ask for another try: after the last, NoAnswer.

        What is asked here may be sent twice: reading changes nothing, closing a closed checkout is refused, and a
        second token does no harm. A refund may not: see `ask_once`.
        """
        progress = _Progress()
        retrying = Retrying(
            retry=retry_if_result(_may_be_mended),
            wait=_pause_before,
            stop=lambda state: self._has_tried_enough(state, progress),
            sleep=self._sleep,
            retry_error_callback=_last_outcome,
        )
        try:
            outcome = retrying(self._once, request, progress)
        except StoppedError:
            return NoAnswer(STOPPED)
        if isinstance(outcome, Lost):
            return NoAnswer(f"{outcome.detail} (tries: {progress.tries})" if progress.tries > 1 else outcome.detail)
        return outcome

    def ask_once(self, request: Request) -> Outcome | NotSent:
        """Return SumUp's reply of whatever status, having sent the request once at most. NotSent: not at all."""
        try:
            with self.pacer.turn():
                if self.breaker.open:
                    return NotSent(self.breaker.reason)
                outcome = self._send(request, _Progress())
        except StoppedError:
            return NotSent(STOPPED)
        if isinstance(outcome, Lost):
            return NotSent(outcome.detail) if outcome.unsent else NoAnswer(outcome.detail)
        return outcome

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def _once(self, request: Request, progress: _Progress) -> Reply | Lost | BrokenAnswer:
        if self.breaker.open:
            return self._given_up()
        with self.pacer.turn():
            outcome = self._send(request, progress)
        return self._weigh(outcome)

    def _send(self, request: Request, progress: _Progress) -> Reply | Lost | BrokenAnswer:
        # It may have opened while this request waited for its turn.
        if self.breaker.open:
            return self._given_up()
        began = self._clock.monotonic()
        progress.tries += 1
        if progress.tries == 1:
            progress.give_up_at = began + self._options.retry_budget
        outcome = self._transport.send(request)
        self._tell(request, outcome, self._clock.monotonic() - began, progress.tries)
        return outcome

    def _given_up(self) -> Lost:
        return Lost(self.breaker.reason, again=False)

    def _weigh(self, outcome: Reply | Lost | BrokenAnswer) -> Reply | Lost | BrokenAnswer:
        if not isinstance(outcome, Reply):
            return outcome
        if refusal.is_blocked(outcome):
            # More traffic makes a firewall block for longer: all threads wait, and this request is not tried again.
            self.pacer.pause(_FIREWALL_PAUSE)
            return Lost("a firewall in front of SumUp blocks our requests (403)", again=False)
        if outcome.status not in _LATER and outcome.status not in _SERVER_ERRORS:
            return outcome
        pause = min(outcome.retry_after or 0.0, self._options.retry_after_cap)
        if pause:
            self.pacer.pause(pause)
        return Lost(f"SumUp answered {refusal.describe(outcome)}", pause=pause)

    def _has_tried_enough(self, state: RetryCallState, progress: _Progress) -> bool:
        starts_again_at = self._clock.monotonic() + state.upcoming_sleep
        return progress.tries >= self._options.tries or starts_again_at > progress.give_up_at

    def _sleep(self, seconds: float) -> None:
        if self._wait(seconds):
            raise StoppedError

    def _tell(self, request: Request, outcome: Reply | Lost | BrokenAnswer, seconds: float, attempt: int) -> None:
        status = outcome.status if isinstance(outcome, Reply) else None
        log.debug(
            "sumup_request",
            method=request.method,
            path=request.template,
            status=status,
            milliseconds=round(seconds * 1000),
            attempt=attempt,
            problem="" if isinstance(outcome, Reply) else outcome.detail,
        )
        self._on_request(RequestSeen(request.method, request.template, status, seconds, attempt))


def _may_be_mended(outcome: Reply | Lost | BrokenAnswer) -> bool:
    return isinstance(outcome, Lost) and outcome.again


def _pause_before(state: RetryCallState) -> float:
    outcome = _last_outcome(state)
    return max(_backoff(state), outcome.pause if isinstance(outcome, Lost) else 0.0)


def _last_outcome(state: RetryCallState) -> Reply | Lost | BrokenAnswer:
    # tenacity asks for a pause, and gives up, only after a try, whose outcome is then there.
    return state.outcome.result()  # type: ignore[union-attr, no-any-return]
