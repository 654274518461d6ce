"""Runs a command to its end and writes down what it took: `python spender.py FILE COMMAND...`.

A process of its own, and a small one: Linux counts the memory of the process that starts a command as the command's.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

_PAUSE = 0.02
_LOOKS_FOR_ONE_AT_MEMORY = 10
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run the command with our own files for its input and output."""
    began = time.perf_counter()
    process = subprocess.Popen(sys.argv[2:])  # noqa: S603 - our own program
    own, memory, looks = 0.0, 0.0, 0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        own = max(own, _own_cpu(process.pid))
        if looks % _LOOKS_FOR_ONE_AT_MEMORY == 0:
            memory = max(memory, sum(map(_memory, _family(process.pid))))
        looks += 1
        time.sleep(_PAUSE)
    elapsed = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    Path(sys.argv[1]).write_text(
        json.dumps(
            {
                "elapsed": elapsed,
                "cpu": usage.ru_utime + usage.ru_stime,
                "own_cpu": own,
                "peak_mib": usage.ru_maxrss / 1024,
                "memory_mib": memory,
                "code": process.returncode,
            }
        ),
        encoding="utf-8",
    )


def _own_cpu(pid: int) -> float:
    """Return the CPU time that the process has taken itself, in seconds; its children's is not in it."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _family(pid: int) -> list[int]:
    """Return the process and its children."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        children = []
    return [pid, *map(int, children)]


def _memory(pid: int) -> float:
    """Return the MiB that are the process's, and its share of those that it has with others; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


if __name__ == "__main__":
    main()
