"""The libraries below WeasyPrint, found by the system's loader alone."""

import ctypes.util
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def found_by_the_loader() -> Iterator[None]:
    """While WeasyPrint is imported: start no other program to find its libraries. No other thread may import meanwhile.

    WeasyPrint tries several names for each library. For every one that the loader does not know, cffi asks
    `ctypes.util.find_library`, which starts ldconfig, gcc and ld: 85 processes, and half of the time that the import
    takes. Among the names are the sonames, such as libpango-1.0.so.0, and those the loader finds without help.
    """
    find_library = ctypes.util.find_library
    ctypes.util.find_library = _nowhere
    try:
        yield
    finally:
        ctypes.util.find_library = find_library


def _nowhere(name: str) -> None:
    del name
