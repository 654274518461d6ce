"""What the admins are told about mail: that none goes out, that one waits, cannot be made, or cannot be delivered."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.orders import Level, OrderAlert
from paypoll.mail.doubts import held_up, nobody_is_taken
from paypoll.payments.order import Order
from paypoll.shop.find import find_numbers
from paypoll.shop.orders import read_order
from paypoll.state import outbox
from paypoll.state.incidents import cause, end_trouble, note_trouble, open_troubles
from paypoll.state.outbox import Mail
from paypoll.tickets.scripts import packages_for, script_of, scripts_of

SMTP_DOWN = "smtp_down"
SMTP_REFUSES = "smtp_refuses"
SMTP_TAKES_NOBODY = "smtp_takes_nobody"
ALERT_REFUSED = "alert_refused"
CANNOT_PRINT = "cannot_print"
MAIL_ERROR = "mail_error"
SHOWS_BOXES = "shows_boxes"


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

    def hand_over(self, connection: sa.Connection, now: datetime, lease: timedelta) -> None:
        """Send what waits for somebody who is no admin any more to those who are."""
        self.desk.hand_over(connection, now, lease)

    def tell_we_are_refused(self, connection: sa.Connection, error: str, now: datetime) -> None:
        """Tell at once that the mail server refuses us, and with us every mail."""
        self.desk.tell_of_trouble(
            connection,
            f"{SMTP_REFUSES}:{cause(error)}",
            error,
            tell_after=timedelta(0),
            headline="The mail server refuses all mail",
            found=(error, "It is about the account, the sender, a quota or the server's rules, not about one mail."),
            todo=(
                "Put that right with whoever runs the mail server, or in the section [mail] of the settings.",
                "Nothing is lost: the mails wait, and leave by themselves afterwards.",
            ),
            now=now,
        )

    def tell_if_nobody_is_taken(self, connection: sa.Connection, now: datetime) -> None:
        """Tell, once it lasts, that the server is there and takes no customer's mail, whoever it is for."""
        taken = outbox.last_taken_from_customers(connection, now)
        held = nobody_is_taken(held_up(connection), taken, now, self.lasting)
        if held is None:
            self.desk.forget_trouble(connection, SMTP_TAKES_NOBODY)
            return
        mails = f"{held.mails} to {f'{held.domains} domains' if held.domains > 1 else 'one domain'}"
        self.desk.tell_of_trouble(
            connection,
            SMTP_TAKES_NOBODY,
            held.last,
            tell_after=timedelta(0),
            headline="The mail server takes no customer's mail",
            found=(
                f"It has taken no customer's mail since {held.since:%d %B %H:%M} UTC; {mails} wait.",
                f"Of one of them it says: {held.last}",
            ),
            todo=(
                "Ask whoever runs the mail server: it may not know these domains, hold us back, or refuse us.",
                "Nothing is lost: the mails wait, and leave by themselves afterwards.",
            ),
            now=now,
        )

    def tell_mail_goes_out(self, connection: sa.Connection, now: datetime, *, from_customers: bool) -> bool:
        """Tell that mail goes out again, if they had been told that it did not. Say whether we had been refused.

        That we were refused is over when a customer's mail is taken: one to ourselves may be taken all the time.
        """
        self.desk.tell_of_recovery(
            connection,
            SMTP_DOWN,
            headline="Mail is going out again",
            found="The mail server had been out of reach",
            todo=("Nothing. What had waited is being sent.",),
            now=now,
        )
        if from_customers:
            self.desk.tell_of_recovery(
                connection,
                SMTP_TAKES_NOBODY,
                headline="Mail is going out again",
                found="The mail server had been taking no customer's mail",
                todo=("Nothing. What had waited is tried again; a mailbox that is full goes on waiting.",),
                now=now,
            )
        refused = open_troubles(connection, f"{SMTP_REFUSES}:") if from_customers else []
        for trouble in refused[1:]:
            end_trouble(connection, trouble.key)
        for trouble in refused[:1]:
            self.desk.tell_of_recovery(
                connection,
                f"{SMTP_REFUSES}{trouble.key.removeprefix(SMTP_REFUSES)}",
                headline="Mail is going out again",
                found="The mail server had been refusing all mail",
                todo=("Nothing. What had waited is being sent.",),
                now=now,
            )
        return bool(refused)

    def tell_alert_refused(self, connection: sa.Connection, mail: Mail, error: str, now: datetime) -> None:
        """Tell the other admins, once it lasts, that one of them gets no alerts."""
        for admin in mail.recipients:
            others = tuple(other for other in self.desk.admins if other not in mail.recipients)
            if not others:
                note_trouble(connection, f"{ALERT_REFUSED}:{admin}", error, now, tell_after=self.lasting)
                continue
            self.desk.tell_of_trouble(
                connection,
                f"{ALERT_REFUSED}:{admin}",
                error,
                tell_after=self.lasting,
                headline="An admin gets no alerts",
                found=(f"The mail server says about {admin}: {error}",),
                todo=("Correct alerts.to in the settings, or have the mailbox mended. What waits for it is kept.",),
                now=now,
                admins=others,
            )

    def end_alert_refused(self, connection: sa.Connection, mail: Mail) -> None:
        """Forget that this admin got no alerts."""
        for admin in mail.recipients:
            self.desk.forget_trouble(connection, f"{ALERT_REFUSED}:{admin}")

    def tell_mail_waits(
        self, connection: sa.Connection, mail: Mail, error: str, now: datetime, *, at_once: bool = False
    ) -> None:
        """Tell that the server is there and does not take this mail: a full mailbox, greylisting.

        Once it lasts; or `at_once`, where the server says that it will not, and only we go on trying.
        """
        if not at_once and now - mail.created_at < self.lasting:
            return
        if mail.order_id is None:
            self.desk.tell(
                connection,
                f"organiser_mail_waits:{mail.id}",
                level=Level.ALERT,
                headline="A mail to an organiser has not been accepted yet",
                found=(f"The mail server says about the {_words(mail)} mail to {_whom(mail)}: {error}",),
                todo=("Is the account's address right? Corrected in the shop, the next attempt goes there.",),
                now=now,
            )
        if order := _order_of(connection, mail):
            alert = OrderAlert(
                key=f"mail_waits:{mail.kind}",
                level=Level.ALERT,
                headline=f"Order {order.number}: its {_words(mail)} mail has not been accepted yet",
                found=(f"The mail server says about {_whom(mail)}: {error}",),
                todo=("paypoll goes on trying. If the customer asks, reach them another way.",),
            )
            self.desk.tell_about_order(connection, order, alert, now)

    def tell_meets_error(self, connection: sa.Connection, mail: Mail, error: str, now: datetime) -> None:
        """Tell, once it lasts, that mails of this kind meet an error that nobody foresaw."""
        self.desk.tell_of_trouble(
            connection,
            f"{MAIL_ERROR}:{mail.kind}:{cause(error)}",
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
            f"{CANNOT_PRINT}:{mail.kind}:{cause(error)}",
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
        if order is None and not mail.is_alert:
            self.desk.tell(
                connection,
                f"organiser_mail_undeliverable:{mail.id}",
                level=Level.CRITICAL,
                headline="A mail to an organiser cannot be delivered",
                found=(f"The {_words(mail)} mail to {_whom(mail)}: {error}",),
                todo=("Reach the organiser another way, and correct the account's address in the shop.",),
                now=now,
            )
        if not mail.is_alert:
            self.forget_waiting(connection, mail)
        if order is not None:
            alert = OrderAlert(
                key=f"undeliverable:{mail.kind}",
                level=Level.CRITICAL,
                headline=f"Order {order.number}: its {_words(mail)} mail cannot be delivered",
                found=(f"To {_whom(mail)}: {error}",),
                todo=("Reach the customer another way, or correct the address in the shop and send it again.",),
            )
            self.desk.tell_about_order(connection, order, alert, now)
        return order

    def tell_shows_boxes(self, connection: sa.Connection, mail: Mail, letters: Collection[str], now: datetime) -> None:
        """Tell, once a script, that tickets show boxes in place of its letters, and which package has a font for it."""
        number = find_numbers(connection, [mail.order_id]).get(mail.order_id, "") if mail.order_id is not None else ""
        for script in scripts_of(letters):
            of_script = sorted(letter for letter in letters if script_of(letter) == script)
            self.desk.tell_of_trouble(
                connection,
                f"{SHOWS_BOXES}:{script}",
                " ".join(map(_code_point, of_script)),
                tell_after=timedelta(0),
                level=Level.ALERT,
                headline=f"Tickets show boxes: no font here has letters of {script}",
                found=(
                    f"The tickets of order {number} show boxes in place of {', '.join(map(_code_point, of_script))}.",
                    "They have left all the same, and their codes can be read. There may be more such orders.",
                ),
                todo=(
                    f"Install a font on the machine that runs paypoll: `apt-get install {packages_for([script])}`.",
                    "Then send the tickets again to whom it matters: `paypoll resend ORDER`.",
                ),
                now=now,
            )

    def end_boxes(self, connection: sa.Connection, legible: Collection[str]) -> None:
        """Forget the scripts that can be read again, by the very letters that could not."""
        there = set(map(_code_point, legible))
        for trouble in open_troubles(connection, f"{SHOWS_BOXES}:"):
            if not there.isdisjoint(trouble.detail.split()):
                self.desk.forget_trouble(connection, trouble.key)

    def forget_waiting(self, connection: sa.Connection, mail: Mail) -> None:
        """Take back what has not left about a mail that waited, and does not any more."""
        about = (
            f"mail_waits:{mail.kind}:order:{mail.order_id}:" if mail.order_id else f"organiser_mail_waits:{mail.id}:"
        )
        outbox.withdraw_about(connection, f"alert:{about}", "it was over before")

    def end_troubles(self, connection: sa.Connection, kinds: Iterable[str]) -> None:
        """Forget the troubles of these kinds of mail, which go out again, so that the next one is told anew.

        A trouble for which another mail of the kind still waits would only be told of again.
        """
        for kind in kinds:
            prefixes = tuple(f"{key}:{kind}" for key in (CANNOT_PRINT, MAIL_ERROR))
            troubles = open_troubles(connection, *prefixes)
            lasting = {cause(error) for error in outbox.waiting_errors(connection, kind)} if troubles else set()
            for trouble in troubles:
                if trouble.key.split(":")[1] == kind and trouble.key.rpartition(":")[2] not in lasting:
                    self.desk.forget_trouble(connection, trouble.key)


def _order_of(connection: sa.Connection, mail: Mail) -> Order | None:
    """Return the order whose customer waits for this mail. About an alert there is no alert."""
    return None if mail.is_alert or mail.order_id is None else read_order(connection, mail.order_id)


def _code_point(letter: str) -> str:
    return f"U+{ord(letter):04X}"


def _whom(mail: Mail) -> str:
    return ", ".join(mail.recipients) or "(no address)"


def _words(mail: Mail) -> str:
    return mail.kind.replace("_", " ")
