"""Whether a run would find anything to do.

Asked first: the usual run finds nothing, and then need not load what the others need.
"""

from datetime import datetime

import sqlalchemy as sa

from paypoll.runs.ledgers_due import ledgers_due
from paypoll.settings.model import Settings
from paypoll.state.due_fees import FeeRules, any_fee_due
from paypoll.state.due_gone import any_gone_due
from paypoll.state.due_mail import any_mail_due
from paypoll.state.due_refunds import any_refund_due
from paypoll.state.sumup_troubles import orders_to_ask_about
from paypoll.state.watches import WatchRules, is_any_due


def nothing_is_due(
    connection: sa.Connection, settings: Settings, orders: WatchRules, fees: FeeRules, now: datetime
) -> bool:
    """Say whether nothing is due: no order, listing fee, mail, refund or ledger, nor a trouble with SumUp to look into.

    It takes three statements at most.
    """
    to_ask = orders_to_ask_about(settings.sumup.merchant_code).exists()
    beside = sa.or_(any_mail_due(now), any_fee_due(fees, now), any_refund_due(now), any_gone_due(now), to_ask)
    return not is_any_due(connection, orders, now, beside) and not ledgers_due(connection, settings, now)
