"""What paypoll needs to know of a Django shop, picked from its settings. Pure; every value is a stranger's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from paypoll.admin.setup.expressions import Unknown, truth
from paypoll.settings import addresses
from paypoll.settings.secret import Secret

Key = tuple[str, str]
"""Section and key of one of paypoll's settings."""

_POSTGRESQL = re.compile(r"postgres|postgis|psycopg")
_SMTP = ("django.core.mail.backends.smtp.EmailBackend", "")
_DEFAULT_PORT = 25
_STARTTLS_PORT = 587
_NAMES = ("SITE_NAME", "SHOP_NAME", "COMPANY_NAME", "PROJECT_NAME")
_ADDRESSES = ("SITE_URL", "BASE_URL", "SITE_BASE_URL", "PUBLIC_URL", "FRONTEND_URL", "DOMAIN", "SITE_DOMAIN")
_SUPPORT = ("SUPPORT_EMAIL", "CONTACT_EMAIL", "HELP_EMAIL")
_KEYS = ("SUMUP_API_KEY", "SUMUP_SECRET_KEY", "SUMUP_ACCESS_TOKEN")
_LONGEST = 500
"""Characters of a value; no longer one means anything, and some expressions below would take their time over it."""


@dataclass(frozen=True, slots=True)
class DatabaseLogin:
    """How the shop logs in to its PostgreSQL. An empty host: the socket of this machine."""

    name: str
    user: str = ""
    password: Secret | None = None
    host: str = ""
    port: str = ""
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """What was found. `settings` and `secrets` are paypoll's own keys; the others are defaults for what is asked.

    `missing` says of what is needed, and was not found, why.
    """

    login: DatabaseLogin | None = None
    settings: dict[Key, str | int] = field(default_factory=dict)
    secrets: dict[Key, Secret] = field(default_factory=dict)
    name: str = ""
    address: str = ""
    support: str = ""
    alerts: tuple[str, ...] = ()
    merchant: str = ""
    missing: tuple[str, ...] = ()


def facts_of(values: Mapping[str, Any]) -> ShopFacts:
    """Return what these settings of Django say."""
    missing: list[str] = []
    settings: dict[Key, str | int] = {}
    secrets: dict[Key, Secret] = {}
    login = _login(values, missing)
    _mail(values, settings, secrets, missing)
    if zone := _text(values, "TIME_ZONE"):
        settings["site", "time_zone"] = zone
    if language := _text(values, "LANGUAGE_CODE"):
        settings["site", "language"] = language
    media = values.get("MEDIA_ROOT", "")
    if isinstance(media, str | PurePosixPath) and str(media).startswith("/") and _is_plain(str(media)):
        settings["tickets", "media_folder"] = str(media).rstrip("/")
    else:
        missing.append(f"the media folder (MEDIA_ROOT): {_why(media, 'it is not a full path')}")
    sender = _sender(values)
    if sender:
        settings["mail", "sender"] = sender
    _sumup(values, settings, secrets)
    name = _first(values, _NAMES) or parseaddr(sender)[0]
    support = _address(_first(values, _SUPPORT)) or _address(parseaddr(sender)[1])
    return ShopFacts(
        login=login,
        settings=settings,
        secrets=secrets,
        name=name,
        address=_web_address(values),
        support=support,
        alerts=_admins(values),
        merchant=_text(values, "SUMUP_MERCHANT_CODE"),
        missing=tuple(missing),
    )


def login_of_url(url: str) -> DatabaseLogin:
    """Return what a database address says. Raise ValueError, without showing it, where it is none of PostgreSQL's."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is not a database address; it looks like postgresql://user@host:5432/database") from None
    name = unquote(parts.path.lstrip("/"))
    if not _POSTGRESQL.match(parts.scheme) or not name or not url.isprintable():
        raise ValueError("is not PostgreSQL's; it looks like postgresql://user@host:5432/database")
    query = {key: found[0] for key, found in parse_qs(parts.query).items()}
    host = query.pop("host", "") or unquote(parts.hostname or "")
    password = unquote(parts.password) if parts.password else ""
    return DatabaseLogin(
        name=name,
        user=unquote(parts.username or ""),
        password=Secret(password) if password else None,
        host=host,
        port=query.pop("port", "") or (str(port) if port else ""),
        options=tuple((key, value) for key, value in query.items() if key.startswith("ssl")),
    )


def _login(values: Mapping[str, Any], missing: list[str]) -> DatabaseLogin | None:
    databases = values.get("DATABASES", {})
    default = databases.get("default", {}) if isinstance(databases, dict) else databases
    what = "the database (DATABASES)"
    if not isinstance(default, dict) or not default:
        missing.append(f"{what}: {_why(default, 'there is none')}")
        return None
    if isinstance(default.get("URL"), str):
        try:
            return login_of_url(default["URL"])
        except ValueError as error:
            missing.append(f"{what}: its address {error}")
            return None
    for key in ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT"):
        if isinstance(default.get(key), Unknown):
            missing.append(f"{what}: {key}: {default[key].why}")
            return None
    engine, name = _text(default, "ENGINE"), _text(default, "NAME")
    if not _POSTGRESQL.search(engine) or not name:
        missing.append(f"{what}: it is not PostgreSQL, or has no name")
        return None
    password, port = _text(default, "PASSWORD"), default.get("PORT", "")
    options = default.get("OPTIONS")
    given = options.items() if isinstance(options, dict) else ()
    return DatabaseLogin(
        name=name,
        user=_text(default, "USER"),
        password=Secret(password) if password else None,
        host=_text(default, "HOST"),
        port=str(port) if re.fullmatch(r"\d{1,5}", str(port)) else "",
        options=tuple((key, str(value)) for key, value in given if str(key).startswith("ssl") and _is_plain(value)),
    )


def _mail(
    values: Mapping[str, Any], settings: dict[Key, str | int], secrets: dict[Key, Secret], missing: list[str]
) -> None:
    what = "the mail server (EMAIL_HOST)"
    backend = values.get("EMAIL_BACKEND", "")
    if backend not in _SMTP:
        said = backend if isinstance(backend, str) and _is_plain(backend) else "something else"
        missing.append(f"{what}: {_why(backend, f'the shop does not mail by SMTP but by {said}')}")
        return
    wanted = ("EMAIL_HOST", "EMAIL_PORT", "EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD", "EMAIL_USE_TLS", "EMAIL_USE_SSL")
    for key in wanted:
        if isinstance(values.get(key), Unknown):
            missing.append(f"{what}: {key}: {values[key].why}")
            return
    host = _text(values, "EMAIL_HOST") or "localhost"
    port = int(values.get("EMAIL_PORT") or _DEFAULT_PORT) if _is_number(values.get("EMAIL_PORT")) else _DEFAULT_PORT
    settings.update({("mail", "host"): host, ("mail", "port"): port})
    if truth(values.get("EMAIL_USE_SSL", "")):
        settings["mail", "tls"] = "tls"
    elif truth(values.get("EMAIL_USE_TLS", "")) or not addresses.is_loopback(host) or port == _STARTTLS_PORT:
        settings["mail", "tls"] = "starttls"
    else:
        settings["mail", "tls"] = "none"
    user, password = _text(values, "EMAIL_HOST_USER"), _text(values, "EMAIL_HOST_PASSWORD")
    if user and password and settings["mail", "tls"] != "none":
        settings["mail", "username"] = user
        secrets["mail", "password"] = Secret(password)


def _sumup(values: Mapping[str, Any], settings: dict[Key, str | int], secrets: dict[Key, Secret]) -> None:
    key = _first(values, _KEYS)
    if re.fullmatch(r"[!-~]+", key):
        secrets["sumup", "api_key"] = Secret(key)
    client, secret = _text(values, "SUMUP_CLIENT_ID"), _text(values, "SUMUP_CLIENT_SECRET")
    if client and secret:
        # They renew the tokens of organisers who have connected their own account.
        settings["sumup", "client_id"] = client
        secrets["sumup", "client_secret"] = Secret(secret)


def _sender(values: Mapping[str, Any]) -> str:
    for key in ("DEFAULT_FROM_EMAIL", "SERVER_EMAIL", "EMAIL_HOST_USER"):
        sender = _text(values, key)
        try:
            if sender and not sender.endswith("@localhost") and addresses.mail_sender(sender):
                return sender
        except ValueError:
            continue
    return ""


def _web_address(values: Mapping[str, Any]) -> str:
    trusted, hosts = values.get("CSRF_TRUSTED_ORIGINS", ()), values.get("ALLOWED_HOSTS", ())
    found = [_text(values, key) for key in _ADDRESSES]
    found += [one for one in trusted if isinstance(one, str)] if isinstance(trusted, list) else []
    found += [one for one in hosts if isinstance(one, str)] if isinstance(hosts, list) else []
    for one in found:
        address = one if "://" in one else f"https://{one}"
        host = urlsplit(address).hostname or "" if _is_plain(one) and "[" not in one else ""
        if not re.fullmatch(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}", host):
            continue  # "*", ".example.org", an address of the machine
        try:
            return addresses.web_address(address)
        except ValueError:
            continue
    return ""


def _admins(values: Mapping[str, Any]) -> tuple[str, ...]:
    admins = values.get("ADMINS", ())
    found = []
    for one in admins if isinstance(admins, list) else ():
        last = one[-1] if isinstance(one, list) and one else one
        if isinstance(last, str) and _is_plain(last) and (address := _address(parseaddr(last)[1])):
            found.append(address)
    return tuple(found)


def _address(text: str) -> str:
    try:
        return addresses.mail_address(text) if text else ""
    except ValueError:
        return ""


def _first(values: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    return next((text for key in keys if (text := _text(values, key))), "")


def _text(values: Mapping[str, Any], key: str) -> str:
    """Return a text of one line; empty where it is anything else."""
    value = values.get(key)
    return value.strip() if isinstance(value, str) and _is_plain(value) else ""


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST and value.isprintable()


def _is_number(value: object) -> bool:
    return isinstance(value, int | str) and re.fullmatch(r"\d{1,5}", str(value)) is not None


def _why(value: object, otherwise: str) -> str:
    return value.why if isinstance(value, Unknown) else otherwise
