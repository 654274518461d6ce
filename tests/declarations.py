"""Makes src/paypoll/tickets/weasyprint_ffi.py: `scripts/declarations`."""

import ast
import tempfile
from pathlib import Path

import cffi

from paypoll.tickets.declarations import declaring_module, fingerprint

MADE = Path(__file__).parents[1] / "src/paypoll/tickets/weasyprint_ffi.py"

_HEAD = '''\
"""WeasyPrint's declarations as cffi has parsed them: `scripts/declarations` made it, nobody edits it."""

# mypy: ignore-errors

import _cffi_backend

MADE_OF = "{made_of}"


class _FFI(_cffi_backend.FFI):
    def cdef(self, source):
        """Do nothing: the declarations are below."""


def FFI():
    """Return what WeasyPrint calls `ffi`."""
    return ffi


ffi = _FFI('''


def made() -> str:
    """Return the module for the installed WeasyPrint."""
    source = declaring_module()
    if source is None:
        raise RuntimeError("WeasyPrint is not installed")
    ffi = cffi.FFI()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "cdef":
            ffi.cdef(ast.literal_eval(node.args[0]))
    ffi.set_source("weasyprint_ffi", None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "weasyprint_ffi.py")
        ffi.emit_python_code(str(file))
        _, call, rest = file.read_text(encoding="ascii").partition("_cffi_backend.FFI(")
    if not call:
        raise RuntimeError("cffi writes its modules in another way")
    return _HEAD.format(made_of=fingerprint(source)) + rest


if __name__ == "__main__":
    MADE.write_text(made(), encoding="ascii")
