"""The settings that decisions depend on, as the rules know them."""

from paypoll.payments.ledger import LedgerRules
from paypoll.payments.policy import Policy
from paypoll.settings.model import LedgerSettings, Settings


def policy_of(settings: Settings) -> Policy:
    """Return what the operator has settled about deciding."""
    verification = settings.verification
    return Policy(
        currency=settings.site.currency,
        merchant_code=settings.sumup.merchant_code,
        time_zone=settings.site.zone,
        max_age=verification.max_age,
        late_window=verification.late_window,
        max_quantity=settings.tickets.max_quantity,
        create_guest_accounts=settings.tickets.create_guest_accounts,
        close_before_expiry=verification.close_before_expiry,
        references=verification.references,
        fee_references=verification.fee_references,
        failed_grace=verification.failed_grace,
        review_when_full=settings.tickets.when_full == "review",
        api_url=settings.sumup.base_url,
    )


def ledger_rules(ledger: LedgerSettings) -> LedgerRules:
    """Return what the operator has settled about findings in SumUp's ledger."""
    return LedgerRules(void_on_refund=ledger.on_refund == "void", ignore=ledger.ignore)
