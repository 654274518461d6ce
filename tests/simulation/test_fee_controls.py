"""The protections of listing fees switched off, and the simulation seen to notice."""

from typing import TYPE_CHECKING

import pytest
from tests.simulation.kinds import Kind
from tests.simulation.test_controls import always, worlds_until_broken

import paypoll.payments.matching
import paypoll.payments.notices

if TYPE_CHECKING:
    from tests.simulation.bench import Bench

_FEES = frozenset({Kind.LISTING_FEES})


def test_with_amount_and_merchant_not_compared_a_wrong_payment_publishes(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paypoll.payments.matching, "_money_flaws", always([]))
    monkeypatch.setattr(paypoll.payments.matching, "_merchant_flaws", always([]))
    assert worlds_until_broken(bench, "60 no listing without its payment", "it rests on", first=19, kinds=_FEES)


def test_with_a_second_payment_not_told_one_is_unaccounted_for(bench: "Bench", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paypoll.payments.notices, "paid_twice", always(()))
    assert worlds_until_broken(bench, "60 every payment of a fee", "nobody told", first=9, kinds=_FEES)
