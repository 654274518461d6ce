"""What WeasyPrint declares is read ahead, for the WeasyPrint that is installed and no other."""

import importlib.abc
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
from tests import declarations

from paypoll.tickets import weasyprint_ffi
from paypoll.tickets.declarations import read_ahead


def test_declarations_are_those_of_the_weasyprint_that_is_installed() -> None:
    """An upgrade of WeasyPrint or cffi fails here: run scripts/declarations."""
    assert declarations.MADE.read_text(encoding="ascii") == declarations.made()


def test_reading_ahead_stands_in_for_cffi_and_leaves_no_trace() -> None:
    before = sys.modules.get("cffi")
    with read_ahead():
        assert sys.modules["cffi"].FFI is weasyprint_ffi.FFI
    assert sys.modules.get("cffi") is before


class _OfAnotherCffi(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname == weasyprint_ffi.__name__:
            raise ImportError("cffi found unknown version")
        return None


@pytest.mark.parametrize("why", ["other text", "other cffi"])
def test_what_does_not_fit_is_loaded_as_ever(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    if why == "other text":
        monkeypatch.setattr(weasyprint_ffi, "MADE_OF", "another")
    else:
        monkeypatch.delattr("paypoll.tickets.weasyprint_ffi")
        monkeypatch.delitem(sys.modules, weasyprint_ffi.__name__)
        monkeypatch.setattr(sys, "meta_path", [_OfAnotherCffi(), *sys.meta_path])
    before = sys.modules.get("cffi")
    with read_ahead():
        assert sys.modules.get("cffi") is before
