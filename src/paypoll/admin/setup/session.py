"""One `paypoll setup`: the draft, what the shop's folder and database tell, and how answers are tried."""

import os
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from paypoll.admin.check import Installation
from paypoll.admin.check.mail import check_mail, send_test_alert
from paypoll.admin.check.result import CheckResult, Mark
from paypoll.admin.check.sumup import next_step
from paypoll.admin.setup.database import NoWayInError, ShopDatabase, look_at, owner_ways
from paypoll.admin.setup.django_settings import UnreadableSettingsError, read_django_settings
from paypoll.admin.setup.draft import Draft, zone_of_host
from paypoll.admin.setup.places import Places
from paypoll.admin.setup.shop_facts import DatabaseLogin, Key, ShopFacts, facts_of, login_of_url
from paypoll.admin.setup.shop_folder import NoShopError, ShopFolder
from paypoll.errors import SettingsError
from paypoll.payments.gateway import BrokenAnswer, Found, NoAnswer, NotAllowed, NotFound
from paypoll.settings.database_url import masked_url
from paypoll.settings.model import Settings
from paypoll.settings.secret import Secret

_LEADERS: dict[Key, Key] = {
    **{("mail", key): ("mail", "host") for key in ("port", "tls", "username", "password")},
    ("sumup", "client_secret"): ("sumup", "client_id"),
}
"""What is of one mail server, or of one client, comes from one place."""


class AnswerError(Exception):
    """An answer that does not do. The sentence says what is wrong with it."""


OpenApp = Callable[[Settings], AbstractContextManager[Installation]]
"""Puts paypoll together from settings, to try them."""


@dataclass
class Session:
    """What is known so far. `owner_url`: how the owner of the shop's tables gets in, where somebody has said so.

    `shop`: the answer to where it is, unless it holds a password.
    """

    places: Places
    draft: Draft
    open_app: OpenApp
    owner_url: str = ""
    shop: str = ""
    facts: ShopFacts = field(default_factory=ShopFacts)
    database: ShopDatabase | None = None
    every_minute: bool = False
    mail_problem: str = ""
    fixed: frozenset[tuple[str, str]] = frozenset()
    """Keys that somebody has set by name: nothing that is found out goes over them."""

    # --- the shop ---------------------------------------------------------------------------------------------

    def use_folder(self, folder: Path) -> list[str]:
        """Take what the shop's folder tells, and try it. Return what was found in words; raise AnswerError."""
        try:
            shop = ShopFolder(folder)
            module = shop.settings_module()
            if not module:
                raise AnswerError(f"nothing in {folder} names its settings (DJANGO_SETTINGS_MODULE)")
            facts = facts_of(read_django_settings(module, shop.read, shop.environ))
            how = "read as text"
            if facts.missing and (printed := shop.ask_django(module)):
                facts = facts_of(printed)
                how = "as its own `manage.py diffsettings` says, run as its owner"
        except (NoShopError, UnreadableSettingsError) as error:
            raise AnswerError(str(error)) from None
        if facts.login is None:
            raise AnswerError(f"{module} does not tell {'; '.join(facts.missing)}. Give the database's address instead")
        self.shop = str(folder.absolute())
        notes = [f"the shop's settings: {module}, {how}"]
        return notes + self._use(facts.login, facts)

    def use_database(self, url: str) -> list[str]:
        """Take a database's address in place of the shop's folder. Return what was found; raise AnswerError."""
        try:
            login = login_of_url(url)
        except ValueError as error:
            raise AnswerError(f"it {error}") from None
        self.shop = "" if login.password else url
        return self._use(login, ShopFacts(login=login))

    def _use(self, login: DatabaseLogin, facts: ShopFacts) -> list[str]:
        try:
            self.database = look_at(login, owner_ways(login, self.owner_url))
        except NoWayInError as error:
            where = f"{login.host or 'this machine'}"
            raise AnswerError(f"the database {login.name} on {where} does not let us in: {error}") from None
        self.facts = facts
        found = {**facts.settings}
        if self.database.currency:
            found["site", "currency"] = self.database.currency
        # What is set stays; the shop only tells what is not.
        stays = {key for key in (*found, *facts.secrets) if self.draft.keeps(*_LEADERS.get(key, key))}
        new = {key: value for key, value in found.items() if key not in self.fixed | stays}
        if ("mail", "host") in new and ("mail", "username") not in found and ("mail", "password") not in self.fixed:
            self._forget_mail_login()
        self.draft.values.update(new)
        for key, secret in facts.secrets.items():
            if key not in self.fixed | stays and key != ("sumup", "api_key"):  # that one is asked for
                self.draft.secrets[key] = secret
        refused = self._without_what_is_refused(new.keys())
        if not self.draft.get("site", "time_zone"):
            self.draft.values["site", "time_zone"] = zone_of_host(environ=os.environ)
        notes = [f"but {one}" for one in refused]
        notes += [f"database {login.name}, its owner is {self.database.owner}; we get in {self.database.way.words}"]
        notes += [self._words_of("site", "currency"), self._words_of("site", "time_zone")]
        notes += [self._words_of("tickets", "media_folder"), self._words_of("mail", "sender")]
        for key in sorted(found.keys() & stays - self.fixed):
            if str(mine := self.draft.get(*key)) != str(found[key]):
                notes.append(f"but {'.'.join(key)} stays {mine or 'empty'}; the shop's is {found[key]}")
        notes += [f"not found: {one}" for one in facts.missing]
        return [note for note in notes if note] + self.try_mail()

    def _without_what_is_refused(self, found: AbstractSet[Key]) -> list[str]:
        """Leave out what the shop's settings say and ours have no use for. Return why, in sentences."""
        try:
            self.draft.settings()
        except SettingsError as error:
            names = {problem.partition(":")[0] for problem in error.problems}
            refused = {key for key in found if ".".join(key) in names}
            if any(section == "mail" for section, _ in refused):
                refused |= {key for key in found if key[0] == "mail"}
                self._forget_mail_login()
            for key in refused:
                self.draft.values.pop(key, None)
            return [f"the shop's settings do not help: {problem}" for problem in error.problems] if refused else []
        return []

    def _words_of(self, section: str, key: str) -> str:
        value = self.draft.get(section, key)
        return f"{section}.{key}: {value}" if value else ""

    # --- mail -------------------------------------------------------------------------------------------------

    def try_mail(self) -> list[str]:
        """Connect to the mail server and log in. Return what came of it in words; `mail_problem` is what is wrong."""
        self._default_mail()
        try:
            settings = self.draft.settings()
            with self.open_app(settings) as app:
                *_, result = check_mail(app.composer, app.mailer, settings)
        except SettingsError as error:
            self.mail_problem = "; ".join(error.problems)
            return []
        self.mail_problem = problem_of(result)
        return [] if self.mail_problem else [f"mail server: {result.text}"]

    def _default_mail(self) -> None:
        if not self.draft.get("mail", "host"):
            # What most machines have that send mail at all.
            self.draft.values |= {("mail", "host"): "localhost", ("mail", "port"): 25, ("mail", "tls"): "none"}

    def use_mail(self, host: str, port: int, tls: str, username: str) -> None:
        """Take a mail server that somebody has named."""
        self.draft.values |= {("mail", "host"): host, ("mail", "port"): port, ("mail", "tls"): tls}
        self._forget_mail_login()
        if username:
            self.draft.values["mail", "username"] = username

    def _forget_mail_login(self) -> None:
        self.draft.forget("mail", "password")
        self.draft.values.pop(("mail", "username"), None)
        if self.draft.get("mail", "username"):
            self.draft.values["mail", "username"] = ""

    def test_alert(self) -> str:
        """Send the test alert. Return what was said of it; raise AnswerError where the server does not take it."""
        settings = self.draft.settings()
        with self.open_app(settings) as app:
            (result,) = send_test_alert(app.composer, app.mailer, settings, app.clock.now())
        if problem := problem_of(result):
            raise AnswerError(problem)
        return result.text

    # --- SumUp ------------------------------------------------------------------------------------------------

    def use_key(self, key: str) -> list[str]:
        """Take SumUp's key and ask SumUp whose it is. Return what was said; raise AnswerError where it is refused.

        Without one, which is an empty text, the OAuth client answers that the settings name.
        """
        before = self.draft.secrets.get(("sumup", "api_key"))
        if key:
            self.draft.secrets["sumup", "api_key"] = Secret(key)
        elif self.draft.get("sumup", "client_id"):
            self.draft.forget("sumup", "api_key")
        else:
            raise AnswerError("without a key it takes an OAuth client: --set sumup.client_id=…")
        try:
            return self._merchant_of_key()
        except (AnswerError, SettingsError) as error:
            self.draft.secrets.pop(("sumup", "api_key"), None)
            if before:
                self.draft.secrets["sumup", "api_key"] = before
            raise AnswerError("; ".join(error.problems) if isinstance(error, SettingsError) else str(error)) from None

    def _merchant_of_key(self) -> list[str]:
        settings = self.draft.settings()
        where = settings.sumup.base_url
        with self.open_app(settings) as app:
            answer = app.gateway.read_merchants()
        seen = self.database.merchants if self.database else ()
        match answer:
            case Found(value=merchants):
                said = sorted(merchants)
            case NotAllowed(detail=detail):
                raise AnswerError(f"{where} refuses the key: {detail}")
            case NoAnswer(detail):
                raise AnswerError(f"{where} does not answer: {detail}: {next_step(detail)}")
            case NotFound() | BrokenAnswer():
                said = []
        given = str(self.draft.get("sumup", "merchant_code")) if ("sumup", "merchant_code") in self.fixed else ""
        kept = str(self.draft.kept.get("sumup", {}).get("merchant_code", ""))
        known = [code for code in (given, kept, self.facts.merchant, *seen) if code and (not said or code in said)]
        if len(said) == 1:
            merchant = said[0]
        elif known:
            merchant = known[0]
        else:
            raise AnswerError(
                f"SumUp says that the key is of {', '.join(said) or 'no merchant'}; say which one is the shop's:"
                " paypoll setup --set sumup.merchant_code=…"
            )
        self.draft.values["sumup", "merchant_code"] = merchant
        notes = [f"the key is of merchant {merchant}" if said else f"merchant {merchant}; SumUp does not say whose key"]
        if kept and merchant != kept:
            notes.append(f"but sumup.merchant_code was {kept}")
        if seen and merchant not in seen:
            notes.append(f"but the shop's newest checkouts are on {', '.join(seen[:3])}: is it the shop's own key?")
        return notes

    # --- the rest ---------------------------------------------------------------------------------------------

    def try_setting(self, section: str, key: str, value: str | list[str]) -> None:
        """Set a value; raise AnswerError, with the value that was, where the settings' own rules refuse it."""
        before = dict(self.draft.values)
        self.draft.values[section, key] = value
        try:
            self.draft.settings()
        except SettingsError as error:
            self.draft.values = before
            mine = [one for one in error.problems if one.startswith(f"{section}.{key}: ")]
            raise AnswerError("; ".join(mine or error.problems)) from None

    def summary(self) -> list[str]:
        """Return what would be written, without secrets."""
        values = self.draft.values.items()
        lines = [f"{section}.{key} = {_shown(section, key, value)}" for (section, key), value in values if value != ""]
        lines += [f"{section}.{key} = ***" for section, key in self.draft.secrets]
        return sorted(lines)


def problem_of(result: CheckResult) -> str:
    """Return a result's problem with the next step; empty if it is none."""
    if result.mark is not Mark.PROBLEM:
        return ""
    return f"{result.text}: {result.next_step}" if result.next_step else result.text


def _shown(section: str, key: str, value: object) -> object:
    if (section, key) == ("database", "url"):
        return masked_url(str(value))
    if isinstance(value, list):
        return ", ".join(value)
    return "***" if (section, key) == ("alerts", "ping_url") else value


Notes = list[str]
Take = Callable[[Session, str], Notes]
