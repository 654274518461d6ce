"""`paypoll demo`."""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from paypoll.cli.options import NamedPath
from paypoll.cli.render.screen import show

if TYPE_CHECKING:
    from paypoll.runs.apply import Applied
    from paypoll.runs.apply_fee import FeeApplied
    from paypoll.sandbox.demo.show import Act, Demo


@click.command("demo")
@click.option(
    "--folder",
    type=NamedPath(file_okay=False),
    default=Path("paypoll-demo"),
    show_default=True,
    help="Where the demo's shop, tickets and mails go. An earlier demo there is replaced.",
)
def demo_command(folder: Path) -> None:
    """See paypoll at work: a small shop, a SumUp of its own, and the real run on them.

    Needs no account and no server, and nothing leaves this machine.

    \b
    Example:
      paypoll demo
    """
    from paypoll.logs import configure_logging
    from paypoll.sandbox.demo.show import Demo

    demo = Demo(folder)
    demo.prepare_folder()
    # What the run has to say goes to a file: this page is for what it did.
    configure_logging("info", "json", demo.log, stream=io.StringIO())
    for act in demo.run():
        _show_act(act)
    _show_leftovers(demo)


def _show_act(act: "Act") -> None:
    from paypoll.cli.render.words import headed, wrapped

    show([*headed(act.title), ""])
    happened = {applied.order_number: applied for applied in act.report.applied}
    fees = {fee.reference: fee for fee in act.report.fees}
    for story in act.stories:
        show([f"  {story.number}  {story.customer} {story.deed}"])
        fee = fees.get(story.number)
        show(wrapped(_outcome(happened.get(story.number)) if fee is None else _outcome_of_fee(fee), 12))
    mail = act.report.delivered
    seconds = act.report.duration.total_seconds()
    did = f"{act.report.counts()['tickets']} tickets issued, {mail.sent} mails sent, in {seconds:.1f} s"
    looked = f"{len(act.report.applied)} orders" + (" and a listing fee" if act.report.fees else "")
    show(["", *wrapped(f"paypoll run-once: {looked} looked at, {did}")])
    if act.seen:
        show([*headed("How the shop is now"), ""])
        show([line for sentence in act.seen for line in wrapped(sentence)])


def _outcome_of_fee(fee: "FeeApplied") -> str:
    from paypoll.cli.render.words import status

    published = ": its event is published, the organiser told" if fee.published else ""
    return f"-> {status(fee.state_to)}{published}"


def _outcome(applied: "Applied | None") -> str:
    from paypoll.cli.render.words import status

    if applied is None:
        return "-> not looked at"
    what = {
        "complete": f"{applied.tickets} ticket{'s' if applied.tickets != 1 else ''} issued and mailed",
        "restore": "put back to completed",
        "fail": "told so, with a link to try again; watched, in case it is paid after all",
        "expire": "closed at SumUp, admins told",
        "review": "no ticket; the admins are told what to look at",
        "unchanged": "asked again in the next run",
    }[applied.outcome.value]
    return f"-> {status(applied.status_to)}: {what}"


def _show_leftovers(demo: "Demo") -> None:
    from paypoll.cli.render.words import headed
    from paypoll.sandbox.demo.show import shown_path

    tickets = sorted((demo.media / "tickets" / "pdfs").glob("*.pdf"))
    mails = sorted(demo.mails.glob("*.eml"))
    show([*headed("Look at what came of it"), ""])
    show([f"  {len(tickets)} tickets   {shown_path(tickets[0].parent)}"])
    show([f"  {len(mails)} mails     {shown_path(demo.mails)}"])
    show([f"  the log     {shown_path(demo.log)}"])
    show([*headed("Try next"), ""])
    program = shown_path(Path(sys.argv[0])) if Path(sys.argv[0]).exists() else "paypoll"
    command = f"{program} --config {shown_path(demo.config)}"
    show(["  Why was this ticket issued, and why was that one not?"])
    show([f"    {command} inspect ORD-1003", f"    {command} inspect ORD-1005"])
    show(["  Why was this event published?", f"    {command} inspect LF-1A2B3C4D"])
    show(["  What has come in, and how long did tickets take?", f"    {command} report"])
    show(["  A SumUp of your own, to point a staging shop at:", f"    {program} sandbox", ""])
