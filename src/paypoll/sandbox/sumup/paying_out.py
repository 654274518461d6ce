"""What a payout makes of a transaction: the records that SumUp lists, net of its fee.

Whether SumUp writes a deduction with a minus is not documented; here it is a positive amount of a DEDUCTION, and a test
that wants another form adds the record itself.
"""

from collections.abc import Callable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from paypoll.payments.money import exponent
from paypoll.sandbox.sumup.entries import FAILED, Kind, Payout, PayoutKind, Transaction

_DEDUCTIONS: Final = {
    Kind.REFUND: PayoutKind.REFUND_DEDUCTION,
    Kind.CHARGE_BACK: PayoutKind.CHARGE_BACK_DEDUCTION,
}


def payouts_of(transaction: Transaction, on: date, fee_rate: Decimal, number: Callable[[], int]) -> list[Payout]:
    """Return the records for what was not yet paid out or deducted; none for a payment that failed or for cash."""
    if not transaction.successful or transaction.payment_type == "CASH":
        return []
    made = []
    if transaction.paid_out_on is None:
        fee = fee_of(transaction, fee_rate)
        made.append(_record(transaction, PayoutKind.PAYOUT, transaction.amount - fee, fee, on, number()))
    made += [
        _record(transaction, _DEDUCTIONS[back.kind], back.amount, Decimal(0), on, number())
        for back in transaction.returns
        if not back.deducted and back.status != FAILED
    ]
    return made


def fee_of(transaction: Transaction, fee_rate: Decimal) -> Decimal:
    """Return SumUp's fee, in whole minor units."""
    return (transaction.amount * fee_rate).quantize(Decimal(1).scaleb(-exponent(transaction.currency)), ROUND_HALF_UP)


def _record(transaction: Transaction, kind: PayoutKind, amount: Decimal, fee: Decimal, on: date, number: int) -> Payout:
    return Payout(
        number=number,
        merchant_code=transaction.merchant_code,
        kind=kind,
        amount=amount,
        fee=fee,
        currency=transaction.currency,
        on=on,
        reference=f"payout-{on.isoformat()}",
        transaction_code=transaction.code,
    )
