"""Answers that a test wants wrong: fields replaced or left out, or a whole body of other bytes."""

import threading
from collections.abc import Mapping
from typing import Final, final

from paypoll.sandbox.sumup.jsontext import dumps


@final
class Absent:
    """The value of a field that is to be left out."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


class Tampering:
    """What to change in which answer. The name of an answer is the id of its checkout or transaction."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fields: dict[str, dict[str, object]] = {}
        self._bodies: dict[str, bytes] = {}

    def set(self, name: str, fields: Mapping[str, object]) -> None:
        """Change these fields from now on, besides earlier ones."""
        with self._lock:
            self._fields.setdefault(name, {}).update(fields)

    def set_body(self, name: str, body: bytes) -> None:
        """Answer with these bytes, whatever the fields."""
        with self._lock:
            self._bodies[name] = body

    def clear(self, name: str) -> None:
        """Undo all changes."""
        with self._lock:
            self._fields.pop(name, None)
            self._bodies.pop(name, None)

    def render(self, name: str, document: Mapping[str, object]) -> bytes:
        """Return the answer's body with the changes made."""
        with self._lock:
            if name in self._bodies:
                return self._bodies[name]
            changed = {**document, **self._fields.get(name, {})}
        return dumps({field: value for field, value in changed.items() if value is not ABSENT}).encode()
