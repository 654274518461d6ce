"""How often Python searches for objects that hold each other, which is how it finds those that nobody else holds."""

import gc

_THRESHOLD = 50_000


def search_for_cycles_rarely() -> None:
    """Have this process searched after 50,000 new objects, instead of the 700 that Python comes with.

    Nearly all that is made while a program loads stays, so that Python would search some thirty times and find nothing.
    And a ticket is some ten thousand objects that hold each other until it is written: among them, too, Python searches
    too often.
    """
    gc.set_threshold(_THRESHOLD)
