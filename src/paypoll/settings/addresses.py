"""Web addresses, hosts and mail addresses that stand in the settings. All errors are ValueErrors with a sentence."""

import re
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_MAIL_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_SENDER = re.compile(r'(?P<name>"[^"\\<>]*"|[^"\\<>]*?)\s*<(?P<address>[^<>]*)>')
# Outside quotes these end a display name early, and mail goes out under another one (RFC 5322, 3.2.3).
_NEEDS_QUOTES = re.compile(r"[(),:;@\[\]]")
_FULL_NAME = re.compile(r"(?=.{1,253}\Z)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}")
_PUSH_PATH = re.compile(r"/api/push/[^/]+/?$")
# Names by which services are told of a state in the query: what is fixed there is said of every run.
_STATES = frozenset({"status", "state", "success", "result", "exit", "exit_code", "s"})

_PLACEHOLDER = re.compile(r"(?:^|[@/.])example\.(?:org|com|net)\b", re.IGNORECASE)


def is_placeholder(text: str) -> bool:
    """Say whether the text names nobody, as those of the example file do (RFC 2606)."""
    return _PLACEHOLDER.search(text) is not None


def is_loopback(host: str) -> bool:
    """Say whether the host is this machine by its name or address, so that nothing sent to it leaves the machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def web_address(text: str, *, query: bool = False) -> str:
    """Return an http or https address without a slash at its end. `query` allows one to follow the path."""
    if not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is not a web address: it holds a space or a character that cannot be printed")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"{text!r} is not a web address") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError(f"{text!r} is not a web address; it looks like https://www.example.org")
    if parts.username is not None:
        raise ValueError("must not hold a user name or password")
    if parts.fragment or (parts.query and not query):
        raise ValueError(f"{text!r} must end before the ? or #")
    return text if parts.query else text.rstrip("/")


def guarded_web_address(text: str) -> str:
    """Return an address that a secret may be sent to: https, or http on this machine."""
    address = web_address(text)
    parts = urlsplit(address)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError(f"{text} must be https: a secret is sent there (http is for this machine only)")
    return address


def ping_address(text: str) -> str:
    """Return the address of a dead man's switch; it may have a query, which must not say how a run went."""
    address = web_address(text, query=True)
    if is_push_address(address):
        return address
    for name, _ in parse_qsl(urlsplit(address).query, keep_blank_values=True):
        if name.lower() in _STATES:
            raise ValueError(
                f"has {name}= behind its ?, so that it would say of a failing run what it says of a good one; paypoll"
                " takes addresses that /start and /fail can be put behind, as of healthchecks.io, and Uptime Kuma's"
                " (…/api/push/TOKEN)"
            )
    return address


def is_push_address(address: str) -> bool:
    """Say whether it is a push address of Uptime Kuma, whose query says how it went."""
    return _PUSH_PATH.search(urlsplit(address).path) is not None


def host_name(text: str) -> str:
    """Return a host name or IP address as it is."""
    if not text or not text.isprintable() or re.search(r"[\s/@]", text) or "://" in text:
        raise ValueError(f"{text!r} is not a host; it looks like mail.example.org")
    return text


def ehlo_name(text: str) -> str:
    """Return a name for EHLO: a full host name in ASCII, an address literal such as [192.0.2.1], or nothing."""
    if not text or _FULL_NAME.fullmatch(text):
        return text
    literal = re.fullmatch(r"\[(IPv6:)?([0-9A-Fa-f.:]+)\]", text)
    with suppress(ValueError):
        if literal and ip_address(literal[2]).version == (6 if literal[1] else 4):
            return text
    raise ValueError(f"{text!r} is not a name for EHLO; it looks like mail.example.org, or [192.0.2.1]")


def mail_address(text: str) -> str:
    """Return a bare mail address, such as admin@example.org."""
    if not _MAIL_ADDRESS.fullmatch(text):
        raise ValueError(f"{text!r} is not a mail address; it looks like tickets@example.org")
    return text


def mail_sender(text: str) -> str:
    """Return a mail address that may have a display name: `Tickets <tickets@example.org>`."""
    match = _SENDER.fullmatch(text)
    if match is None:
        return mail_address(text)
    mail_address(match["address"])
    name = match["name"]
    if not name.startswith('"') and (special := _NEEDS_QUOTES.search(name)):
        raise ValueError(f'the name has a {special[0]!r}: put it in quotes, "{name}" <{match["address"]}>')
    return text
