"""Being told to stop: SIGTERM and SIGINT set a flag that the run looks at between its steps."""

import signal
import threading
from types import FrameType

from paypoll.exitcodes import ExitCode


class Stop:
    """Whether the run was told to stop, and a sleep that ends at once when it is."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._signal: int | None = None

    def __call__(self) -> bool:
        """Say whether the run was told to stop."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep. True when told to stop, at once or meanwhile."""
        return self._event.wait(seconds)

    def set(self) -> None:
        """Tell the run to stop."""
        self._event.set()

    def listen(self) -> None:
        """From now on, let SIGTERM and SIGINT set the flag. A second SIGINT interrupts the hard way."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    @property
    def exit_code(self) -> ExitCode | None:
        """The exit status that the signal asks for, None when there was none."""
        if self._signal is None:
            return None
        return ExitCode.INTERRUPTED if self._signal == signal.SIGINT else ExitCode.TERMINATED

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._event.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = number
        self._event.set()
