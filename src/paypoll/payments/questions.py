"""What to ask SumUp next about an order. Pure: the order and the answers so far give the next questions.

Together with `decide` this is the whole procedure of a verification: ask until there is nothing left to ask, then
decide. Closing a checkout comes last and only where the decision calls for it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from paypoll.payments.classify import (
    assess,
    checkout_ids,
    close_question,
    is_silence,
    read_question,
    searches_for,
    transaction_question,
)
from paypoll.payments.decision import Decision
from paypoll.payments.evidence import Evidence, Question
from paypoll.payments.followed import is_followed
from paypoll.payments.gateway import CheckoutStatus, Found
from paypoll.payments.order import Order
from paypoll.payments.order_statuses import VOID, WATCHED
from paypoll.payments.policy import Policy
from paypoll.payments.rules import decide

Decide: TypeAlias = Callable[[Order, Evidence, Policy, datetime], Decision]
"""The rules that say what is to be closed: `decide` for orders, and for listing fees their own."""


def next_questions(
    order: Order, evidence: Evidence, policy: Policy, now: datetime, rules: Decide = decide
) -> tuple[Question, ...]:
    """Return what to ask now; an empty tuple when the evidence is as complete as it will get.

    Ends, whatever SumUp answers: every answer closes its question, and only the closing of a checkout (once each)
    opens another one.
    """
    if not is_followed(order):
        return ()
    unread = [i for i in checkout_ids(order, evidence, policy) if i not in evidence.reads]
    if unread:
        return tuple(read_question(order, evidence, policy, checkout_id) for checkout_id in unread)
    if questions := _unasked_transactions(order, evidence, policy):
        return questions
    if questions := _unasked_searches(order, evidence, policy):
        return questions
    close = rules(order, evidence, policy, now).close
    return tuple(close_question(order, evidence, policy, i) for i in close if i not in evidence.closings)


def _unasked_transactions(order: Order, evidence: Evidence, policy: Policy) -> tuple[Question, ...]:
    """Ask for the transaction of every checkout that took money, by its status or by one of its attempts (3a)."""
    paid = [
        look.value
        for look in evidence.reads.values()
        if isinstance(look, Found) and (look.value.status == CheckoutStatus.PAID or look.value.successful_attempts)
    ]
    questions = (
        transaction_question(order, answer, policy) for answer in paid if answer.id not in evidence.transactions
    )
    return tuple(question for question in questions if question is not None)


def _unasked_searches(order: Order, evidence: Evidence, policy: Policy) -> tuple[Question, ...]:
    """Look by reference for checkouts that the shop never stored, unless a stored one settles the order already.

    Where SumUp is not answering, there is no use in asking more.
    """
    # An order that waits gets its tickets at once; the quiet looks afterwards find what else was paid. A void one gets
    # none, and no other look than these.
    if order.status in WATCHED - VOID and assess(order, evidence, policy).verified:
        return ()
    if any(is_silence(look) for look in evidence.reads.values()):
        return ()
    return tuple(question for question in searches_for(order, policy) if question not in evidence.searches)
