"""What WeasyPrint declares of Pango, HarfBuzz and fontconfig, read ahead.

WeasyPrint hands cffi its declarations as C text, which cffi parses in Python each time, and again for each kind of
pointer that is used: a third of the CPU of a printing process with one order. cffi's own remedy is to write down what
it has parsed as a module (its documentation calls that out-of-line, ABI level). `weasyprint_ffi` is that module;
`scripts/declarations` makes it. It stands for one text only: any other WeasyPrint is loaded as ever.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


@contextmanager
def read_ahead() -> Iterator[None]:
    """While WeasyPrint is imported: give it what was read ahead, if that is what it declares."""
    before = sys.modules.get("cffi")
    stand_in = _stand_in()
    if stand_in is not None:
        sys.modules["cffi"] = stand_in
    try:
        yield
    finally:
        if before is not None:
            sys.modules["cffi"] = before
        elif stand_in is not None:
            del sys.modules["cffi"]


def declaring_module() -> Path | None:
    """Return the file in which WeasyPrint declares what it calls; None when it is not to be found."""
    spec = find_spec("weasyprint")
    return None if spec is None or spec.origin is None else Path(spec.origin).with_name("text") / "ffi.py"


def fingerprint(module: Path) -> str:
    """Return what tells this file from any other. Raise OSError when it cannot be read."""
    return sha256(module.read_bytes()).hexdigest()


def _stand_in() -> ModuleType | None:
    """Return a module for `cffi`, with all that WeasyPrint's text/ffi.py takes from it; None when it would not fit."""
    try:
        from paypoll.tickets import weasyprint_ffi

        module = declaring_module()
        if module is None or fingerprint(module) != weasyprint_ffi.MADE_OF:
            return None
    except (ImportError, OSError):  # a cffi that does not know this kind of module; only compiled files are installed
        return None
    stand_in = ModuleType("cffi")
    stand_in.FFI = weasyprint_ffi.FFI  # type: ignore[attr-defined]
    return stand_in
