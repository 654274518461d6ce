"""How fast SumUp answers: collected request by request, from all threads of a run."""

import math
import threading
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paypoll.sumup.retry import RequestSeen

QUANTILES = (0.5, 0.95, 1.0)
"""The median, what one in twenty exceeds, and the slowest."""


class Latency:
    """The requests of a run: how many had which kind of answer, and how long answers took. Call it with each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: Counter[str] = Counter()
        self._seconds: list[float] = []

    def __call__(self, seen: "RequestSeen") -> None:
        """Take note of a request. What had no answer is counted; how long it took says when we gave up, not more."""
        with self._lock:
            self._answers["none" if seen.status is None else f"{seen.status // 100}xx"] += 1
            if seen.status is not None:
                self._seconds.append(seen.seconds)

    def answers(self) -> Mapping[str, int]:
        """Return how many requests had an answer of each kind: 2xx, 4xx, 5xx, none."""
        with self._lock:
            return {kind: self._answers[kind] for kind in ("2xx", "3xx", "4xx", "5xx", "none")}

    def quantiles(self) -> Mapping[float, float]:
        """Return the seconds within which that share of the answers came; empty when there was no answer."""
        with self._lock:
            ordered = sorted(self._seconds)
        return {share: ordered[math.ceil(share * len(ordered)) - 1] for share in QUANTILES} if ordered else {}
