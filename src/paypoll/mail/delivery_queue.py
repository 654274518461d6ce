"""Which mail is tried next: what was never tried goes first, and what failed before has a share of a run."""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.state.due_mail import Whose, claim_mail, hand_back, is_any_due
from paypoll.state.outbox import Mail

_FRESH_FOR_ONE_RETRY = 3
_RETRIES_AT_ONCE = 5


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """Limits of a delivery: how many mails are claimed at once, and for how long.

    `retry_time`: for so long at most it goes on with mails that failed before.
    """

    batch_size: int
    lease: timedelta
    retry_time: timedelta = timedelta(minutes=1)


class DeliveryQueue:
    """The mails that one delivery has claimed. `expect` hears of those that will be tried soon."""

    def __init__(
        self,
        engine: sa.Engine,
        clock: Clock,
        rules: DeliveryRules,
        run_id: str,
        expect: Callable[[Sequence[Mail]], None],
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._rules = rules
        self._run_id = run_id
        self._expect = expect
        self._fresh: deque[Mail] = deque()
        self._tried: deque[Mail] = deque()
        self._fresh_in_a_row = 0
        self._fresh_came_short_of: Whose | None = None
        self._retry_until = clock.monotonic() + rules.retry_time.total_seconds()
        self._retries_left = True

    def next(self, whose: Whose) -> Mail | None:
        """Return the mail to try next, of these: a fresh one, and now and then one that failed before. None: no more.

        A run whose time is short sends what is new; and new mail without end does not keep back what failed once.
        """
        self._give_back_others(whose)
        # Enough at hand for the printer to go on with. When there were no more, what is new comes after those at hand.
        if len(self._fresh) <= self._rules.batch_size // 2 and (not self._fresh or self._fresh_came_short_of != whose):
            claimed = self._claim(self._fresh, whose, tried=False, limit=self._rules.batch_size)
            self._fresh_came_short_of = whose if claimed < self._rules.batch_size else None
        if not self._fresh or self._fresh_in_a_row >= _FRESH_FOR_ONE_RETRY:
            self._fresh_in_a_row = 0
            if retry := self._next_retry(whose):
                return retry
        self._fresh_in_a_row += 1
        return self._fresh.popleft() if self._fresh else None

    def holds_any(self) -> bool:
        """Whether mails are claimed that were not tried."""
        return bool(self._fresh or self._tried)

    def is_any_due(self, whose: Whose) -> bool:
        """Whether there is more to claim."""
        with transaction(self._engine) as connection:
            return is_any_due(connection, self._clock.now(), whose)

    def hand_back(self) -> None:
        """Give back what was claimed and not tried."""
        self._hand_back([*self._fresh, *self._tried])

    def _next_retry(self, whose: Whose) -> Mail | None:
        if self._clock.monotonic() >= self._retry_until:
            self._hand_back(list(self._tried))
            return None
        if not self._tried and self._retries_left:
            self._claim(self._tried, whose, tried=True, limit=_RETRIES_AT_ONCE)
            # None is left but those that were put off just now.
            self._retries_left = bool(self._tried)
        return self._tried.popleft() if self._tried else None

    def _give_back_others(self, whose: Whose) -> None:
        if whose is not Whose.ALL:
            is_alert = whose is Whose.ADMINS
            self._hand_back([mail for mail in (*self._fresh, *self._tried) if mail.is_alert is not is_alert])

    def _claim(self, queue: deque[Mail], whose: Whose, *, tried: bool, limit: int) -> int:
        """Claim more mails for this queue. Return how many there were: fewer than the limit are all there are."""
        with transaction(self._engine) as connection:
            more = claim_mail(
                connection,
                self._run_id,
                self._clock.now(),
                limit=limit,
                lease=self._rules.lease,
                whose=whose,
                tried=tried,
            )
        queue.extend(more)
        if more:
            self._expect(more)
        return len(more)

    def _hand_back(self, mails: Collection[Mail]) -> None:
        if not mails:
            return
        with transaction(self._engine) as connection:
            hand_back(connection, mails, self._run_id)
        gone = {mail.id for mail in mails}
        self._fresh = deque(mail for mail in self._fresh if mail.id not in gone)
        self._tried = deque(mail for mail in self._tried if mail.id not in gone)
