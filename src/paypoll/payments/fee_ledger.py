"""What a payment in SumUp's ledger means that is of a listing fee. Pure; row 60q of docs/outcomes.md."""

from dataclasses import dataclass

from paypoll.payments.ledger import NOTHING, FindingKind, Judgement, LedgerPayment


@dataclass(frozen=True, slots=True)
class PaidFee:
    """The listing fee that a payment is of. `taken`: it was paid by it; `stands`: not void, and its event published."""

    reference: str
    taken: bool = False
    stands: bool = False


def judge_fee(payment: LedgerPayment, fee: PaidFee) -> Judgement:
    """Return what a payment of a listing fee means. What else is to be known of fees, the looks at them tell."""
    if not (fee.taken and fee.stands and payment.back > 0):
        return NOTHING
    facts = {"whole": "yes" if payment.gone else "no", "charged_back": str(payment.charged_back)}
    return Judgement(FindingKind.FEE_RETURNED, payment.back, facts=facts)  # 60q
