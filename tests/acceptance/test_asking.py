"""No question, no act: where nobody can be asked, what a person decides is done with --yes alone."""

from tests.acceptance.stage import Stage

USAGE = 2


def test_command_that_changes_by_hand_refuses_without_a_terminal_and_without_yes(stage: Stage) -> None:
    review = stage.order("ORD-REVIEW", checkout="PAID")
    waiting = stage.order("ORD-WAITING")
    nobody = stage.order("ORD-NOBODY", checkout="PAID", email="nobody at all")
    stage.sumup.refund(review.checkout)
    assert stage.run_once().code == 0
    assert [stage.status(order) for order in (review, nobody)] == ["requires_manual_review", "completed"]
    before = stage.dump("public", "paypoll")
    for words in (
        ("resolve", review.number, "--reject", "--reason", "why"),
        ("resolve", review.number, "--issue", "--override", "--reason", "why"),
        ("expire", waiting.number),
        ("recheck", review.number, "--why", "why"),
        ("resend", "--all-undeliverable"),
    ):
        refused = stage.paypoll(*words)
        assert (refused.code, "add --yes" in refused.stderr) == (USAGE, True), (words, refused.stderr)
        assert stage.dump("public", "paypoll") == before, words
