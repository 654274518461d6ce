"""Runs a command to its end and writes down what it took: `python spender.py FILE COMMAND...`.

A process of its own, and a small one: Linux counts the memory of the process that starts a command as the command's.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """Run the command with our own files for its input and output."""
    began = time.perf_counter()
    process = subprocess.Popen(sys.argv[2:])  # noqa: S603 - our own program
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    Path(sys.argv[1]).write_text(
        json.dumps(
            {
                "elapsed": elapsed,
                "cpu": usage.ru_utime + usage.ru_stime,
                "peak_mib": usage.ru_maxrss / 1024,
                "code": process.returncode,
            }
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
