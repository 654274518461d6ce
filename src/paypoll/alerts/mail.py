"""What the admins are told about mail: that none goes out, that one waits, cannot be made, or cannot be delivered."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.orders import Level, OrderAlert
from paypoll.payments.order import Order
from paypoll.shop.orders import load_order
from paypoll.state import outbox
from paypoll.state.incidents import end_trouble
from paypoll.state.outbox import Mail

SMTP_DOWN = "smtp_down"
CANNOT_PRINT = "cannot_print"
MAIL_ERROR = "mail_error"


@dataclass(frozen=True, slots=True)
class MailAlerts:
    """Tells the admins of what is wrong with mail, in the transaction that writes it down.

    `lasting`: how long a trouble may last that may pass by itself, such as the mail server being down, before they are
    told of it.
    """

    desk: AlertDesk
    lasting: timedelta

    def tell_nothing_goes_out(self, connection: sa.Connection, error: str, now: datetime) -> None:
        """Tell, once it lasts, that the mail server is down."""
        self.desk.tell_of_trouble(
            connection,
            SMTP_DOWN,
            error,
            tell_after=self.lasting,
            headline="Mail has not been going out",
            found=(f"The mail server said, or failed with: {error}",),
            todo=("Look at the mail server and at the section [mail] of the settings.",),
            now=now,
        )

    def tell_mail_goes_out(self, connection: sa.Connection, now: datetime) -> None:
        """Tell that the mail server is back, if they had been told that it was down."""
        self.desk.tell_of_recovery(
            connection,
            SMTP_DOWN,
            headline="Mail is going out again",
            found="The mail server had been out of reach",
            todo=("Nothing. What had waited is being sent.",),
            now=now,
        )

    def tell_mail_waits(self, connection: sa.Connection, mail: Mail, error: str, now: datetime) -> None:
        """Tell, once it lasts, that the server is there and does not take this mail: a full mailbox, greylisting."""
        if now - mail.created_at < self.lasting:
            return
        if order := _order_of(connection, mail):
            alert = OrderAlert(
                key=f"mail_waits:{mail.kind}",
                level=Level.ALERT,
                headline=f"Order {order.number}: its {_words(mail)} mail has not been accepted yet",
                found=(f"The mail server says about {order.email}: {error}",),
                todo=("paypoll goes on trying. If the customer asks, reach them another way.",),
            )
            self.desk.tell_about_order(connection, order, alert, now)

    def tell_meets_error(self, connection: sa.Connection, mail: Mail, error: str, now: datetime) -> None:
        """Tell, once it lasts, that mails of this kind meet an error that nobody foresaw."""
        self.desk.tell_of_trouble(
            connection,
            f"{MAIL_ERROR}:{mail.kind}",
            error,
            tell_after=self.lasting,
            headline="A mail meets the same error again and again",
            found=(f"Mail {mail.id} ({_words(mail)}) of order {mail.order_id}: {error}.",),
            todo=("The log of the last run has the details. Please report it; paypoll goes on trying.",),
            now=now,
        )

    def tell_cannot_be_made(self, connection: sa.Connection, mail: Mail, error: str, now: datetime) -> None:
        """Tell at once that mails of this kind wait for something that a person must put right."""
        self.desk.tell_of_trouble(
            connection,
            f"{CANNOT_PRINT}:{mail.kind}",
            error,
            tell_after=timedelta(0),
            headline="Tickets or mails cannot be made",
            found=(error,),
            todo=("Put right what is named above. The mails wait, and leave by themselves afterwards.",),
            now=now,
        )

    def tell_undeliverable(self, connection: sa.Connection, mail: Mail, error: str, now: datetime) -> Order | None:
        """Tell that this mail will never arrive. Return the order that it is about; None when it was an alert."""
        order = _order_of(connection, mail)
        if order is not None:
            alert = OrderAlert(
                key=f"undeliverable:{mail.kind}",
                level=Level.CRITICAL,
                headline=f"Order {order.number}: its {_words(mail)} mail cannot be delivered",
                found=(f"To {order.email or '(no address)'}: {error}",),
                todo=("Reach the customer another way, or correct the address and send the mail again.",),
            )
            self.desk.tell_about_order(connection, order, alert, now)
        return order

    def end_troubles(self, connection: sa.Connection, kinds: Iterable[str]) -> None:
        """Forget the troubles of these kinds of mail, which go out again, so that the next one is told anew."""
        for kind in kinds:
            if outbox.has_failing(connection, kind):
                continue  # it is in its pause, and would only be told of again
            for key in (CANNOT_PRINT, MAIL_ERROR):
                end_trouble(connection, f"{key}:{kind}")


def _order_of(connection: sa.Connection, mail: Mail) -> Order | None:
    """Return the order whose customer waits for this mail. About an alert there is no alert."""
    return None if mail.kind == "alert" or mail.order_id is None else load_order(connection, mail.order_id)


def _words(mail: Mail) -> str:
    return mail.kind.replace("_", " ")
