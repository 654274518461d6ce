"""The templates of mails: ours, or the operator's in their place. Nothing is escaped but in .html.

What is escaped goes by the name of the file that a value stands in: a .html that includes a .txt gets it unescaped.
"""

import traceback
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import (
    Environment,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    select_autoescape,
)

from paypoll.mail.content.reading import ComposeError
from paypoll.payments.money import show_amount
from paypoll.templates import TemplateLoader

_FOLDER = Path(__file__).parents[1] / "templates"
# The errors that code in a template may raise, besides Jinja2's own.
_TEMPLATE_BUGS = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)


class Templates:
    """Renders templates by name. Those in `folder`, where there is one, go before ours.

    Their filters: `money(currency)` for an amount; `day` (Monday, 7 December 2026) and `clock` (19:30) for an aware
    datetime, in `time_zone`.
    """

    def __init__(self, folder: Path | None, time_zone: ZoneInfo) -> None:
        self._folders = (folder, _FOLDER) if folder else (_FOLDER,)
        self._time_zone = time_zone
        self._environment = Environment(
            loader=TemplateLoader(self._folders),
            autoescape=select_autoescape(("html",), default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters |= {"money": _money, "day": self._day, "clock": self._clock}

    def render(self, name: str, names: Mapping[str, Any]) -> str:
        """Return the rendered template. Raise ComposeError that names the file and the line of what is broken."""
        try:
            return self._environment.get_template(name).render(names)
        except TemplateNotFound as error:
            raise ComposeError(f"there is no template {error.name}") from error
        except TemplateSyntaxError as error:
            raise ComposeError(f"{error.filename or name}, line {error.lineno}: {error.message}") from error
        except (TemplateError, *_TEMPLATE_BUGS) as error:
            raise ComposeError(f"{self._place(error, name)}: {error}") from error
        except OSError as error:
            raise ComposeError(f"cannot read the template {error.filename or name}: {error.strerror}") from error

    def _place(self, error: Exception, name: str) -> str:
        """Return file and line of the innermost template that the error passed through."""
        folders = tuple(str(folder) for folder in self._folders)
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(folders)]
        return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else f"the template {name}"

    def _day(self, moment: datetime) -> str:
        local = moment.astimezone(self._time_zone)
        return f"{local:%A}, {local.day} {local:%B %Y}"

    def _clock(self, moment: datetime) -> str:
        return f"{moment.astimezone(self._time_zone):%H:%M}"


def _money(amount: Decimal, currency: str) -> str:
    return show_amount(amount, currency)
