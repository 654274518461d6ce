"""A report from the database, in one transaction."""

from datetime import datetime

import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.report.load import load_facts
from paypoll.report.period import Period
from paypoll.report.result import Report
from paypoll.report.sums import sum_up


def build_report(engine: sa.Engine, period: Period, now: datetime) -> Report:
    """Return the report of the period, as the database stands now."""
    with transaction(engine) as connection:
        return sum_up(load_facts(connection, period), period, now)
