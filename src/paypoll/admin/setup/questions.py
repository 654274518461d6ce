"""What `paypoll setup` asks: each question with its default, and what is tried of an answer."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from paypoll.admin.setup.session import AnswerError, Notes, Session, Take
from paypoll.admin.setup.shop_folder import variables_of
from paypoll.settings import addresses
from paypoll.settings.addresses import is_loopback, is_push_address
from paypoll.settings.secret import Secret

NONE = "none"
"""The answer where nothing is wanted."""

_SECONDS = 10
_SMTP_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def _nothing(_session: Session) -> str:
    return ""


def _always(_session: Session) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Question:
    """`key` is its name in an answers file. `take` tries an answer, and raises AnswerError where it does not do.

    A `secret` is typed unseen, and its default not shown. `needed`: whether it must be asked, as things are.
    """

    key: str
    ask: str
    take: Take
    default: Callable[[Session], str] = _nothing
    secret: bool = False
    needed: Callable[[Session], bool] = _always


def _take_shop(session: Session, answer: str) -> Notes:
    if "://" in answer:
        return session.use_database(answer)
    if not answer.startswith(("/", "./", "../", "~")):
        raise AnswerError("a folder is given from the / on, a database as postgresql://user@host:5432/database")
    return session.use_folder(Path(answer).expanduser())


def _shop(session: Session) -> str:
    return session.shop or remembered(session.places.memory)


def remembered(memory: Path) -> str:
    """Return where the shop was when paypoll was set up before; empty if it was not."""
    try:
        return variables_of(memory.read_text(encoding="utf-8")).get("PAYPOLL_SHOP", "")
    except (OSError, UnicodeDecodeError):
        return ""


def _take_mail(session: Session, answer: str) -> Notes:
    try:
        parts = urlsplit(answer if "://" in answer else f"smtp://{answer}")
        port, host = parts.port, addresses.host_name(parts.hostname or "")
    except ValueError:
        raise AnswerError(
            "it looks like smtp://user@mail.example.org:587, or smtps:// for TLS from the start"
        ) from None
    if parts.scheme not in {"smtp", "smtps"} or parts.password:
        raise AnswerError("it begins with smtp:// or smtps://, and its password is asked for apart")
    tls = "tls" if parts.scheme == "smtps" else "starttls"
    if tls == "starttls" and is_loopback(host) and port != _SMTP_PORTS["starttls"]:
        tls = "none"
    session.use_mail(host, port or _SMTP_PORTS[tls], tls, parts.username or "")
    if parts.username:
        return []  # tried with the password
    notes = session.try_mail()
    if session.mail_problem:
        raise AnswerError(session.mail_problem)
    return notes


def _take_mail_password(session: Session, answer: str) -> Notes:
    session.draft.secrets["mail", "password"] = Secret(answer)
    notes = session.try_mail()
    if session.mail_problem:
        raise AnswerError(session.mail_problem)
    return notes


def _wants_mail_password(session: Session) -> bool:
    return bool(session.draft.get("mail", "username")) and ("mail", "password") not in session.draft.secrets


def _take_key(session: Session, answer: str) -> Notes:
    return session.use_key("" if answer == NONE else answer)


def _key(session: Session) -> str:
    known = session.draft.secrets.get(("sumup", "api_key")) or session.facts.secrets.get(("sumup", "api_key"))
    return known.reveal() if known else ""


def _take_name(session: Session, answer: str) -> Notes:
    """`Jersey Events, https://tickets.example.org`: the address is the last word."""
    match = re.fullmatch(r"(.*?)[\s,;]*\s(\S+)", answer.strip())
    name, address = (match[1], match[2]) if match else ("", answer.strip())
    if "." not in address and "://" not in address:
        raise AnswerError("write both, the address last: Jersey Events, https://tickets.example.org")
    address = address if "://" in address else f"https://{address}"
    if not name.strip() and not session.draft.get("site", "name"):
        raise AnswerError(f"write the shop's name before its address: Jersey Events, {address}")
    session.try_setting("site", "base_url", address)
    if name.strip():
        session.try_setting("site", "name", name.strip())
    return [_reached(address)]


def _reached(address: str) -> str:
    """Ask for the head of the shop's first page. It need not be reached from here, so that is told and no more."""
    import requests

    try:
        with requests.head(address, timeout=_SECONDS, allow_redirects=False) as answer:
            return f"{address} answers (status {answer.status_code})"
    except requests.RequestException as error:
        return f"but {address} does not answer from here ({type(error).__name__}): is it written right?"


def _name(session: Session) -> str:
    name = session.draft.get("site", "name") or session.facts.name
    address = session.draft.get("site", "base_url") or session.facts.address
    return f"{name}, {address}" if name and address else ""


def _take_support(session: Session, answer: str) -> Notes:
    session.try_setting("site", "support_email", answer)
    if not session.draft.get("mail", "sender"):
        session.try_setting("mail", "sender", answer)
        return [f"mails come from {answer}, too: the shop names no sender"]
    return []


def _support(session: Session) -> str:
    return str(session.draft.get("site", "support_email") or session.facts.support)


def _take_alerts(session: Session, answer: str) -> Notes:
    session.try_setting("alerts", "to", [part for part in re.split(r"[\s,;]+", answer) if part])
    return [f"the test alert was {session.test_alert()}"]


def _alerts(session: Session) -> str:
    return ", ".join(session.draft.get("alerts", "to") or session.facts.alerts) or _support(session)


def _take_ping(session: Session, answer: str) -> Notes:
    url = "" if answer == NONE else answer
    session.try_setting("alerts", "ping_url", url)
    if not url:
        return ["without it, nobody hears of it when this machine is off"]
    import requests

    try:
        # What a run that went well calls; Uptime Kuma's has the state in its query, and then a state is a call.
        call = f"{url.partition('?')[0]}?status=up&msg=OK" if is_push_address(url) else url
        with requests.get(call, timeout=_SECONDS, allow_redirects=False) as reply:
            if reply.ok and not reply.is_redirect:
                return ["the ping address answers"]
            problem = f"it answers with status {reply.status_code}"
    except requests.RequestException as error:
        problem = f"it does not answer ({type(error).__name__})"
    raise AnswerError(f"{problem}; `{NONE}` goes on without")


def _ping(session: Session) -> str:
    return str(session.draft.get("alerts", "ping_url")) or NONE


def _take_every(session: Session, answer: str) -> Notes:
    minutes = re.fullmatch(r"(1|5)\s*(?:m|min|minutes?)?", answer)
    if minutes is None:
        raise AnswerError("it is 1 or 5")
    session.every_minute = minutes[1] == "1"
    return []


def _every(session: Session) -> str:
    return "1" if session.every_minute else "5"


QUESTIONS = (
    Question("shop", "Where is the shop? Its folder, or its database's address", _take_shop, _shop),
    # Of the first one still: asked only where the shop's settings do not tell, or the server does not let us in.
    Question("mail", "Its mail server", _take_mail, needed=lambda session: bool(session.mail_problem)),
    Question("mail_password", "The password there", _take_mail_password, secret=True, needed=_wants_mail_password),
    Question("sumup_key", "SumUp's API key", _take_key, _key, secret=True),
    Question("name", "The shop's name and web address", _take_name, _name),
    Question("support", "Where customers can write to", _take_support, _support),
    Question("alerts", "Who is told when an order needs a person", _take_alerts, _alerts),
    Question("ping", "The ping address of a dead man's switch", _take_ping, _ping),
    Question("every", "A run every 1 or 5 minutes", _take_every, _every),
)
