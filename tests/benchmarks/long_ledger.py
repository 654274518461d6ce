"""A first sweep of SumUp's ledger over a long past, measured."""

import json
from collections.abc import Iterator

from tests.benchmarks.bed import MERCHANT
from tests.benchmarks.history import LongHistory
from tests.benchmarks.measure import NewBed
from tests.benchmarks.row import Row


def ledger(new_bed: NewBed, rounds: int) -> Iterator[Row]:
    """Measure a first sweep over a long past: time a transaction, and memory, which must not grow with the number."""
    del rounds
    peaks: dict[int, float] = {}
    for count in (10_000, 100_000):
        bed, history = new_bed(), LongHistory(count)
        bed.fill(count, status="completed", at_sumup=False, long_ago=True)
        bed.sql(
            "INSERT INTO paypoll.fulfilment (order_id, checkout_id, transaction_id, transaction_code,"
            " order_transaction_id, paid_at, amount, currency, merchant_code, issued_by, fulfilled_at, order_number)"
            " SELECT id, 'chk-' || id, 'tx-' || lpad(n::text, 7, '0'), 'C' || n, 'C' || n, now() - interval '2 hours',"
            " total, 'GBP', :merchant, 'paypoll', now(), order_number"
            " FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM orders_order WHERE status = 'completed') o",
            merchant=MERCHANT,
        )
        bed.vacuum()
        spent = bed.run(
            "run-once", "--json", ledger__every="30min", sumup__base_url=history.url, verification__time_budget="30min"
        )
        history.close()
        bed.close()
        swept = json.loads(spent.stdout)["ledger"]
        if (swept["payments"], swept["findings"]) != (count, 0):
            raise RuntimeError(f"of {count} payments: {swept}")
        peaks[count] = spent.peak_mib
        each = f"{spent.elapsed / count * 1000:.2f} ms a transaction, {spent.cpu / count * 1000:.2f} ms CPU"
        yield Row(f"SumUp's ledger swept, {count:,} transactions", each, "none set", None, f"{spent.elapsed:.0f} s")
    few, many = peaks.values()
    yield Row(
        "the same, memory of 100,000 against 10,000", f"{many / few:.2f} ×", "1.10 ×", many <= few * 1.1,
        f"{many:.0f} MiB / {few:.0f} MiB",
    )  # fmt: skip
