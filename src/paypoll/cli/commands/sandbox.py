"""`paypoll sandbox`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from paypoll.cli.options import NamedPath
from paypoll.cli.render.screen import show

if TYPE_CHECKING:
    from paypoll.sandbox.serve import Sandbox


@click.command("sandbox")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8480, show_default=True, help="SumUp's; 0 is a free one."
)
@click.option(
    "--smtp-port",
    type=click.IntRange(0, 65535),
    default=8425,
    show_default=True,
    help="The mail sink's; 0 is a free one.",
)
@click.option(
    "--mails",
    type=NamedPath(file_okay=False),
    default=Path("paypoll-mails"),
    show_default=True,
    help="Where the mail sink keeps what it is sent.",
)
@click.option(
    "--notify",
    type=click.Choice(["old", "new", "both", "none"]),
    default="old",
    show_default=True,
    help="Form of the notifications to a checkout's return_url.",
)
def sandbox_command(port: int, smtp_port: int, mails: Path, notify: str) -> None:
    """Run a SumUp simulator and a mail sink on loopback, to point a staging shop at.

    Its page lists the checkouts and pays, declines, expires or refunds them. Ctrl-C ends it.

    When a checkout is paid or declined, its return_url is posted to as SumUp does, also where that is on another
    host; without a 2xx it is posted to again 1, 5 and 20 minutes and 2 hours later. "old" is the unsigned
    CHECKOUT_STATUS_CHANGED, "new" the signed events of 2026. Expiry is not notified.

    \b
    Example:
      paypoll sandbox --port 8480 --notify both
    """
    from paypoll.errors import TryLaterError
    from paypoll.logs import configure_logging
    from paypoll.runs.stop import Stop
    from paypoll.sandbox.serve import serve
    from paypoll.sandbox.sumup.notifications import Form

    configure_logging("warning")
    stop = Stop()
    stop.listen()
    try:
        serve(port, smtp_port, mails, stop, _announce, notifications=Form(notify))
    except OSError as error:
        raise TryLaterError(f"the sandbox cannot start: {error.strerror or error}") from error


def _announce(sandbox: "Sandbox") -> None:
    show([f"SumUp simulator  {sandbox.sumup_url}  (open it in a browser)"])
    show([f"Mail sink        {sandbox.smtp_address}"])
    if sandbox.webhook_secret:
        show([f"Webhook secret   {sandbox.webhook_secret}  (signs the new notifications)"])
    show(["", "Settings that point paypoll here:", "", *sandbox.sample_settings().splitlines()])
