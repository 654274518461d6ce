"""The sweep of SumUp's ledger broken in one place after the other, and the simulation seen to notice."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.simulation.kinds import Kind
from tests.simulation.test_controls import _STORM, always, worlds_until_broken

import paypoll.ledger.judging
import paypoll.runs.here_again
import paypoll.runs.sweep
import paypoll.state.findings
import paypoll.state.ledger
from paypoll.payments.ledger import NOTHING, FindingKind, Judgement, LedgerRules, judge

if TYPE_CHECKING:
    from tests.simulation.bench import Bench

_PROMISE = "50 SumUp's ledger is explained"
_CALM = replace(_STORM, crash=0.0)


def without(*kinds: FindingKind) -> Callable[..., Judgement]:
    """Return a judge that does not see these."""

    def judge_the_rest(*arguments: Any) -> Judgement:
        found = judge(*arguments)
        return NOTHING if found.kind in kinds else found

    return judge_the_rest


def seen(bench: "Bench", words: str, kind: Kind, *, first: int) -> int | None:
    """Return how many worlds of this kind it took until the balance was seen broken in this way."""
    return worlds_until_broken(bench, _PROMISE, words, weather=_CALM, first=first, kinds=frozenset({kind}), worlds=40)


def test_without_the_finding_of_money_back_tickets_admit_unexplained(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paypoll.ledger.judging, "judge", without(FindingKind.RETURNED))
    assert seen(bench, "and no finding says so", Kind.MONEY_BACK, first=0)


def test_without_the_finding_of_money_that_is_here_again_nobody_knows(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paypoll.ledger.judging.Judged, "here_again", None)
    monkeypatch.setattr(paypoll.runs.here_again, "note_seen_again", always(None))
    assert seen(bench, "is here again", Kind.REVERSALS, first=0)


def test_without_the_finding_of_a_payment_out_of_sight_nobody_is_told(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paypoll.ledger.judging, "judge", without(FindingKind.UNPLACED, FindingKind.NOT_FOLLOWED))
    assert seen(bench, "no tickets, no finding, nobody told", Kind.OUT_OF_SIGHT, first=1)


def test_with_findings_written_down_and_not_told_nobody_knows(bench: "Bench", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paypoll.state.findings, "take_untold", always([]))
    assert seen(bench, "nobody was told", Kind.SHARED_ACCOUNT, first=0)


def test_with_another_shops_sales_not_told_apart_they_are_findings(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LedgerRules, "is_elses", always(False))
    assert seen(bench, "it is none of the shop's", Kind.SHARED_ACCOUNT, first=0)


def test_without_the_look_the_other_way_a_forgotten_payment_is_missed(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paypoll.runs.sweep, "missing_payments", always([]))
    assert seen(bench, "which SumUp does not know", Kind.BOOKS_DIFFER, first=3)


def test_with_a_stale_link_kept_the_ledger_stands_still(bench: "Bench", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paypoll.state.ledger, "restart", always(None))
    assert seen(bench, "and no further", Kind.SHARED_ACCOUNT, first=0)
