"""How the parts of a message keep their headers while it is composed: as `email` does, with less work.

Subject and From are written by `header_words`.
"""

from email.headerregistry import BaseHeader, HeaderRegistry
from email.policy import SMTP, EmailPolicy
from functools import lru_cache
from typing import Any, cast

from paypoll.mail.content.header_words import SenderHeader, SubjectHeader

_READ = 64


class _Registry(HeaderRegistry):
    """Makes each header's class once; `email` makes it again at every access to a header. Safe in threads."""

    def __init__(self) -> None:
        super().__init__()
        self.map_to_type("subject", cast("type[BaseHeader]", SubjectHeader))
        self.map_to_type("from", cast("type[BaseHeader]", SenderHeader))
        self._made: dict[str, type[BaseHeader]] = {}
        self._read = lru_cache(maxsize=_READ)(super().__call__)

    def __call__(self, name: str, value: Any) -> BaseHeader:
        """Read what describes a part once, not at each look at it; a header that was read does not change."""
        if name.lower().startswith("content-"):
            return self._read(name, value)
        return super().__call__(name, value)

    def __getitem__(self, name: str) -> type[BaseHeader]:
        lower = name.lower()
        if lower not in self._made:
            self._made[lower] = super().__getitem__(name)
        return self._made[lower]


class _AsWritten(EmailPolicy):
    """Keeps a header that is set as the text it is, and reads it only when asked for it.

    EmailPolicy parses each header and writes it again whenever a parameter is added, which made attaching two
    tickets and a calendar file a quarter of the work on a mail.
    """

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        if "\r" in value or "\n" in value:
            raise ValueError(f"a line break in the header {name}")
        return name, value


MESSAGE = SMTP.clone(header_factory=_Registry())
"""For a message and its texts."""

ATTACHMENT = _AsWritten(linesep=SMTP.linesep, header_factory=MESSAGE.header_factory)
"""For an attachment. Setting a header raises ValueError when it has a line break, and checks nothing else."""
