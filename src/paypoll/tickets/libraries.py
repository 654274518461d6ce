"""Importing WeasyPrint without what takes longest and is hardly ever needed."""

import ctypes.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from paypoll.tickets.declarations import read_ahead

_FONTTOOLS = ("fontTools", "fontTools.ttLib", "fontTools.varLib", "fontTools.varLib.instancer")
_ITS_USERS = ("weasyprint.pdf.fonts", "weasyprint.text.fonts")


@contextmanager
def loaded_lightly() -> Iterator[None]:
    """While WeasyPrint is imported: start no program, parse no declarations, load no fontTools.

    No other thread may be at it.

    WeasyPrint tries several names for each library. For every one that the loader does not know, cffi asks
    `ctypes.util.find_library`, which starts ldconfig, gcc and ld: 85 processes, and half of the time that the import
    takes. Among the names are the sonames, such as libpango-1.0.so.0, and those the loader finds without help.

    fontTools takes a quarter of what is left, and WeasyPrint needs it for emoji, variable and WOFF fonts alone (and for
    all, where HarfBuzz's subsetter is missing). It has no switch for either.
    """
    find_library = ctypes.util.find_library
    ctypes.util.find_library = _nowhere
    stand_ins = {} if "fontTools" in sys.modules else {name: _StandIn(name) for name in _FONTTOOLS}
    sys.modules.update(stand_ins)
    try:
        with read_ahead():
            yield
    finally:
        ctypes.util.find_library = find_library
        for name in stand_ins:
            del sys.modules[name]


def _nowhere(name: str) -> None:
    del name


class _StandIn(ModuleType):
    """A module of fontTools, of which names can be imported before it is loaded."""

    def __getattr__(self, name: str) -> "_Later":
        if name.startswith("__"):
            raise AttributeError(name)
        return _Later(self.__name__, name)


class _Later:
    """What a name of fontTools stands for in WeasyPrint until it is first used; then all names are the real ones.

    So a handler such as `except TTLibError` finds the real class: what raises it has used fontTools before.
    """

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._loaded()(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loaded(), name)

    def _loaded(self) -> Any:
        for user in _ITS_USERS:
            for name, value in vars(sys.modules[user]).copy().items():
                if isinstance(value, _Later):
                    setattr(sys.modules[user], name, value._real())  # noqa: SLF001 -- one of us
        return self._real()

    def _real(self) -> Any:
        module = import_module(self._module)
        if not hasattr(module, self._name):  # a module below it
            return import_module(f"{self._module}.{self._name}")
        return getattr(module, self._name)
