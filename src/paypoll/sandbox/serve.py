"""Simulator and mail sink together, for `paypoll sandbox`: to point a staging shop at."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from paypoll.sandbox.mail.sink import MailSink
from paypoll.sandbox.sumup.notifications import WEBHOOK_SECRET, Form
from paypoll.sandbox.sumup.simulator import Simulator

MERCHANT_CODE: Final = "MSANDBOX"
API_KEY: Final = "sup_sk_sandbox"
_LOOK_UP: Final = 0.5


class Waiting(Protocol):
    """Something that is told to stop: a threading.Event, or `paypoll.runs.stop.Stop`."""

    def wait(self, timeout: float, /) -> bool:
        """Sleep so many seconds, or shorter once told to stop. Return whether it was."""
        ...


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox. The API key is made up, and opens nothing but the simulator."""

    simulator: Simulator
    mail_sink: MailSink
    merchant_code: str
    api_key: str = field(repr=False)

    @property
    def sumup_url(self) -> str:
        """Where the simulator is: SumUp's base URL, and the page with the checkouts."""
        return self.simulator.url

    @property
    def smtp_address(self) -> str:
        """Where the mail sink is, as host:port."""
        return f"{self.mail_sink.host}:{self.mail_sink.port}"

    @property
    def webhook_secret(self) -> str:
        """What new notifications are signed with; made up like the API key. Empty where none are sent."""
        signed = self.simulator.notifier.form in {Form.NEW, Form.BOTH}
        return WEBHOOK_SECRET if signed else ""

    def sample_settings(self) -> str:
        """Return the sections of the settings file (TOML) that point paypoll at this sandbox."""
        return "\n".join(
            (
                "[sumup]",
                f'base_url = "{self.sumup_url}"',
                f'api_key = "{self.api_key}"',
                f'merchant_code = "{self.merchant_code}"',
                "",
                "[mail]",
                f'host = "{self.mail_sink.host}"',
                f"port = {self.mail_sink.port}",
                'tls = "none"',
                'sender = "Tickets <tickets@example.org>"',
                "",
            )
        )


@contextmanager
def sandbox(
    *,
    simulator_port: int = 0,
    smtp_port: int = 0,
    mail_folder: Path,
    merchant_code: str = MERCHANT_CODE,
    api_key: str = API_KEY,
    notifications: Form = Form.NONE,
) -> Iterator[Sandbox]:
    """Run both on loopback inside the block; port 0 is a free one. Raise OSError when a port is taken.

    `notifications` is the form in which a checkout's `return_url` is to be told of changes; `send_notifications` of
    the simulator sends them.
    """
    with (
        Simulator(port=simulator_port, notifications=notifications) as simulator,
        MailSink(mail_folder, port=smtp_port) as mail_sink,
    ):
        simulator.add_merchant(merchant_code, api_key)
        yield Sandbox(simulator, mail_sink, merchant_code, api_key)


def serve(
    simulator_port: int,
    smtp_port: int,
    mail_folder: Path,
    stop: Waiting,
    announce: Callable[[Sandbox], None],
    *,
    merchant_code: str = MERCHANT_CODE,
    api_key: str = API_KEY,
    notifications: Form = Form.NONE,
) -> None:
    """Run both until told to stop, and tell the shop of changes as SumUp does.

    `announce` is called once, as soon as they can be reached.

    Raise OSError when a port is taken or the mail folder cannot be made.
    """
    with sandbox(
        simulator_port=simulator_port,
        smtp_port=smtp_port,
        mail_folder=mail_folder,
        merchant_code=merchant_code,
        api_key=api_key,
        notifications=notifications,
    ) as running:
        announce(running)
        while not stop.wait(_LOOK_UP):
            running.simulator.notifier.send_due(lambda: stop.wait(0))
