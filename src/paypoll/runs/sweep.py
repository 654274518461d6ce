"""The sweep: SumUp's list of each merchant's payments read from where the last sweep ended, page by page.

A page is read and judged with no transaction open, and then written down in one: what was seen, what was found, which
orders are due at once, and where the list goes on. A run whose time is up amid a page writes down what it has judged of
it, and the next one judges the rest. A run that is killed leaves the rest of the list to the next, and a page that is
read twice changes nothing. One run at a time has a merchant's ledger, by a lease row.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import takewhile

import structlog

from paypoll.alerts.ledger import end_unread, tell_of_findings, tell_of_unread
from paypoll.database import transaction
from paypoll.errors import DatabaseUnavailableError, SettingsError
from paypoll.ledger.judging import Judged, JudgedPage, PageJudge
from paypoll.ledger.naming import name_payments
from paypoll.ledger.other_way import missing_payments, unpaid_tickets
from paypoll.ledger.reading import Questions, UnansweredError
from paypoll.ledger.refund_mail import RefundMail
from paypoll.payments.books import LedgerItem, LedgerPage, LedgerSource, Period
from paypoll.payments.gateway import BrokenAnswer, Found, NotAllowed, NotFound, PaymentGateway
from paypoll.payments.ledger import settled_why
from paypoll.payments.policy import Policy
from paypoll.runs.parts import RunParts
from paypoll.runs.report import OrderError, Swept
from paypoll.runs.voiding import void_order
from paypoll.settings.policy import ledger_rules
from paypoll.state import findings, ledger, told_cases, undone, watches
from paypoll.state.fee_payments import have_fee_looked_at
from paypoll.state.findings import NewFinding
from paypoll.state.ledger import Cursor, Entry
from paypoll.state.told_before import take_over_since
from paypoll.state.waiting_voids import tell_anew, waiting, waits_no_more

log = structlog.get_logger(__name__)


class Sweeper:
    """Sweeps the ledgers that are due, in the run with this id."""

    def __init__(
        self, parts: RunParts, gateway: PaymentGateway, source: LedgerSource, policy: Policy, run_id: str
    ) -> None:
        settings = parts.settings
        self._engine = parts.engine
        self._source = source
        self._gateway = gateway
        self._desk = parts.desk
        self._clock = parts.clock
        self._run_id = run_id
        self._lease = settings.verification.lease
        self._first_since = settings.ledger.since
        self._rules = ledger_rules(settings.ledger)
        self._judge = PageJudge(parts.engine, gateway, policy, self._rules, parts.stop)
        self._errors: list[OrderError] = []
        self._platform = policy.merchant_code
        self._mail = RefundMail(settings.site, settings.mail.domain) if settings.ledger.tell_customer else None

    def sweep(self, merchants: Sequence[str], swept: Swept, should_end: Callable[[], bool]) -> list[OrderError]:
        """Sweep each of these merchants' ledgers, as far as there is time; `swept` is filled as it goes on.

        Return what nobody foresaw: whatever stands in one ledger, or in what is known of it, the others are read.
        """
        read: list[tuple[Cursor, list[LedgerItem]]] = []
        with ExitStack() as held:
            for merchant_code in merchants:
                if should_end() or self._gateway.halted:
                    break
                with transaction(self._engine) as connection:
                    if not ledger.take(connection, merchant_code, self._run_id, self._lease):
                        continue
                held.callback(self._give_back, merchant_code)
                with self._errors_noted(merchant_code):
                    with transaction(self._engine) as connection:
                        cursor = ledger.begin(connection, merchant_code, self._first_since, self._clock.now())
                        take_over_since(connection, cursor.since)
                    if (gone := self._read_list(cursor, swept, should_end)) is not None:
                        read.append((cursor, gone))
            # Only now: what pays for an order's tickets may stand in another merchant's list.
            for cursor, gone in read:
                with self._errors_noted(cursor.merchant_code):
                    if self._make_void(cursor, gone, swept, should_end):
                        self._finish(cursor, swept, should_end)
        return self._errors

    def _give_back(self, merchant_code: str) -> None:
        with transaction(self._engine) as connection:
            ledger.give_back(connection, merchant_code, self._run_id)

    @contextmanager
    def _errors_noted(self, merchant_code: str) -> Iterator[None]:
        try:
            yield
        except (DatabaseUnavailableError, SettingsError):
            raise
        except Exception as error:
            log.exception("the sweep met an unexpected error; it stays due", merchant=merchant_code)
            self._errors.append(self._note_error(merchant_code, error))

    def _note_error(self, merchant: str, error: Exception) -> OrderError:
        met = OrderError.met(f"SumUp's ledger of {merchant}", error)
        with transaction(self._engine) as connection:
            tell_of_unread(self._desk, connection, merchant, met.error, self._clock.now())
        return met

    def _read_list(self, cursor: Cursor, swept: Swept, should_end: Callable[[], bool]) -> list[LedgerItem] | None:
        """Read a merchant's list; return the payments that have orders made void. None: it was not read to its end."""
        page, done, gone = cursor.next_page, cursor.done, list[LedgerItem]()
        while not should_end():
            look = self._source.list_transactions(cursor.merchant_code, Period(changed_since=cursor.since), page)
            if not isinstance(look, Found):
                self._give_up(cursor, look, page)
                return None
            if look.value.next_page == page and page:
                self._give_up(cursor, BrokenAnswer("a page of the history leads to itself"), page)
                return None
            seen = self._judge_page(look.value, cursor.merchant_code, done, should_end)
            if seen.left:
                # What waits is not asked about again either: the next sweep lists it once more.
                done = frozenset(item.transaction_id for item in look.value.items) - seen.left
            else:
                page, done = look.value.next_page, frozenset()
            if not self._write(cursor, seen.judged, page, swept, done=done):
                return None
            swept.payments += len(seen.judged)
            if seen.unanswered is not None:
                self._give_up(cursor, seen.unanswered.look, "")
                return None
            paid = (one.payment for one in seen.judged if one.judgement.void)
            gone += [LedgerItem.again(one.transaction_id, one.transaction_code, one.currency) for one in paid]
            if not page and not seen.left:
                return gone
        return None

    def _judge_page(
        self,
        page: LedgerPage,
        merchant_code: str,
        done: Collection[str] = (),
        should_end: Callable[[], bool] = lambda: False,
    ) -> JudgedPage:
        """Judge a page, with the names of the payments that bought its orders' tickets."""
        now, questions = self._clock.now(), Questions.to(self._gateway)
        seen = self._judge.judge_page(page, merchant_code, now, done=done, should_end=should_end, questions=questions)
        assumed = {one.owner.order_id for one in seen.judged if one.owner is not None and one.owner.unnamed}
        try:
            named = name_payments(self._engine, self._gateway, assumed) if assumed else False
        except UnansweredError as error:
            of_them = (one for one in seen.judged if one.owner is not None and one.owner.order_id in assumed)
            theirs = {one.payment.transaction_id for one in of_them}
            kept = [one for one in seen.judged if one.payment.transaction_id not in theirs]
            return JudgedPage(kept, seen.left | theirs, error)
        if named:
            again = self._judge.judge_page(page, merchant_code, now, done={*done, *seen.left}, questions=questions)
            return JudgedPage(again.judged, again.left | seen.left, again.unanswered or seen.unanswered)
        return seen

    def _judge_line(self, line: LedgerItem, merchant_code: str) -> list[Judged]:
        """Judge a payment that is looked at again. Raise UnansweredError."""
        seen = self._judge_page(LedgerPage((line,), ""), merchant_code)
        if seen.unanswered is not None:
            raise seen.unanswered
        return seen.judged

    def _make_void(
        self, cursor: Cursor, gone: Sequence[LedgerItem], swept: Swept, should_end: Callable[[], bool]
    ) -> bool:
        """Make orders void: those of the payments that are `gone`, and those that could not be made void earlier.

        Where there is no time, or SumUp does not say, they wait for the next sweep; so does one that meets an error,
        and no other with it. False when another run has the merchant's ledger by now.
        """
        with transaction(self._engine) as connection:
            waited = waits_no_more(connection, cursor.merchant_code, voids=self._rules.void_on_refund)
        for line in {line.transaction_id: line for line in (*gone, *waited)}.values():
            if should_end():
                break
            judged: list[Judged] = []
            try:
                if not self._look_at_others(cursor, line, swept):
                    return False
                judged = self._judge_line(line, cursor.merchant_code)
                now = self._clock.now()
                left = [one for one in judged if not (one.judgement.void and self._void(one, now))]
                swept.voided += len(judged) - len(left)
                if not self._write(cursor, left, "", swept, again=True):
                    return False
            except UnansweredError as error:
                log.warning("an order is not made void yet", transaction=line.transaction_id, detail=str(error))
            except (DatabaseUnavailableError, SettingsError):
                raise
            except Exception as error:
                log.exception(
                    "an order met an unexpected error; it is made void later", transaction=line.transaction_id
                )
                numbers = [one.owner.number for one in judged if one.owner is not None]
                self._errors.append(OrderError.met(", ".join(numbers) or line.transaction_id, error))
        return True

    def _look_at_others(self, cursor: Cursor, line: LedgerItem, swept: Swept) -> bool:
        """Ask SumUp for the order's other payments: a charge-back that was reversed stands in no list.

        False when another run has the ledger by now. Raise UnansweredError.
        """
        with transaction(self._engine) as connection:
            others = ledger.others_of(connection, line.transaction_id)
        judged = [
            one
            for other in others
            for one in self._judge_line(
                LedgerItem.again(other.transaction_id, other.transaction_code, other.currency), other.merchant_code
            )
        ]
        return not judged or self._write(cursor, judged, "", swept, again=True)

    def _write(
        self,
        cursor: Cursor,
        judged: Sequence[Judged],
        next_page: str,
        swept: Swept,
        *,
        again: bool = False,
        done: Collection[str] = (),
    ) -> bool:
        """Write a page down. False when another run has the merchant's ledger by now: then nothing is written.

        `again`: what was found before is to say what is known now. `done`: what is judged of the next page already.
        """
        now = self._clock.now()
        with transaction(self._engine) as connection:
            if not ledger.keep(connection, cursor.merchant_code, self._run_id, self._lease):
                log.info("another run has taken over the ledger", merchant=cursor.merchant_code)
                return False
            asked = [one.payment for one in judged if one.asked]
            ended = undone.end_undone(connection, asked, now, self._run_id)
            # A fee's payment is judged anew each time it is listed: an entry would have it taken for nobody's.
            kept = [one.entry for one in judged if not one.judgement.wait and not one.fee]
            ledger.note_entries(connection, kept, now, self._run_id)
            new = [found for one in judged if (found := one.finding) is not None and not one.judgement.void]
            new += [found for one in judged if (found := one.here_again) is not None]
            new = [undone.here_again(found) if found.key in ended else found for found in new]
            to_be_void = [waiting(found) for one in judged if (found := one.finding) and one.judgement.void]
            renewed = [*to_be_void, *(new if again else ())]
            tell_anew(connection, renewed, now, self._run_id)
            swept.findings += findings.note(connection, [*new, *to_be_void], now)
            findings.renew(connection, renewed)
            settled = (one.noted for one in judged if one.judgement.settled)
            findings.note(connection, [noted for noted in settled if noted is not None], now)
            for one in sorted(judged, key=lambda item: item.owner.order_id if item.owner else 0):
                if one.judgement.follow and one.owner is not None:
                    watches.enrol_order(connection, one.owner.order_id, now)
                    watches.follow(connection, one.owner.order_id, now)
                    swept.due += 1
            for one in sorted((one for one in judged if one.fee), key=lambda item: item.fee):
                gone = one.payment.gone
                if not gone and have_fee_looked_at(connection, one.fee, one.payment.transaction_id, now):
                    swept.due += 1
            ledger.note_page(connection, cursor, next_page, done)
        return True

    def _void(self, judged: Judged, now: datetime) -> bool:
        return void_order(self._engine, judged, self._run_id, now, mail=self._mail) is not None

    def _finish(self, cursor: Cursor, swept: Swept, should_end: Callable[[], bool]) -> None:
        """Look the other way round, close what has ended by itself, and tell of what is new."""
        with transaction(self._engine) as connection:
            unlisted = missing_payments(connection, cursor)
        # What is not answered the next sweep that looks back asks again.
        answers = [one.asked(self._gateway) for one in takewhile(lambda _: not should_end(), unlisted)]
        now = self._clock.now()
        with transaction(self._engine) as connection:
            if not ledger.keep(connection, cursor.merchant_code, self._run_id, self._lease):
                return
            ledger.note_entries(connection, [one for one in answers if isinstance(one, Entry)], now, self._run_id)
            new = [one for one in answers if isinstance(one, NewFinding)]
            if cursor.merchant_code == self._platform:
                new += unpaid_tickets(connection, self._platform, self._desk.site.currency, now)
            swept.findings += findings.note(connection, new, now)
            # First told, then closed: of what paypoll itself has ended just now admins hear all the same.
            untold = findings.take_untold(connection, cursor.merchant_code, now)
            tell_of_findings(self._desk, connection, untold, now, first=cursor.first)
            for finding in findings.load_open_facts(connection, cursor.merchant_code):
                if why := settled_why(finding):
                    findings.close(connection, finding.id, why=why, now=now, run_id=self._run_id)
            told_cases.end_returned(connection, now, self._run_id)
            ledger.finish(connection, cursor, now, looked_back=len(answers) == len(unlisted))
            end_unread(self._desk, connection, cursor.merchant_code)
        log.info("ledger_swept", merchant=cursor.merchant_code, payments=swept.payments, findings=swept.findings)

    def _give_up(self, cursor: Cursor, look: object, page: str) -> None:
        """Leave the sweep to a later run. A credential that may not read the list is no alert: orders are followed."""
        detail = str(getattr(look, "detail", "")) or "told to stop"
        merchant, now = cursor.merchant_code, self._clock.now()
        # A link to a page is good for a while only: by then the sweep begins anew, from where it began.
        is_stale = bool(page) and isinstance(look, BrokenAnswer | NotFound)
        refused = isinstance(look, NotAllowed | NotFound) and not is_stale
        with transaction(self._engine) as connection:
            if is_stale or (page and refused):
                ledger.restart(connection, merchant)
            if refused:
                ledger.note_refusal(connection, merchant, detail, now)
            # A list that could be read before is missed; one that never could is a WARNING of `check`.
            if look is not None and not (refused and cursor.first):
                tell_of_unread(self._desk, connection, merchant, detail, now)
        what = (
            "SumUp's list of payments may not be read; orders are followed as before"
            if refused
            else "SumUp's list of payments could not be read to its end"
        )
        log.warning(what, merchant=merchant, detail=detail)
