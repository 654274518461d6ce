"""Runs a command to its end and writes down what it took: `python spender.py FILE COMMAND...`.

A process of its own, and a small one: Linux counts the memory of the process that starts a command as the command's.
"""

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import resource

_PAUSE = 0.02
_LOOKS_FOR_ONE_AT_MEMORY = 10
_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER: processes whose parent has ended become ours, and their time is not lost."""
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run the command with our own files for its input and output."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
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
    usages = [usage, *_orphans()]
    process.returncode = os.waitstatus_to_exitcode(status)
    Path(sys.argv[1]).write_text(
        json.dumps(
            {
                "elapsed": elapsed,
                "cpu": sum(one.ru_utime + one.ru_stime for one in usages),
                "own_cpu": own,
                "peak_mib": max(one.ru_maxrss for one in usages) / 1024,
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


def _orphans() -> Iterator["resource.struct_rusage"]:
    """Return what printing processes took that were forked from another one; they end with the command."""
    while True:
        try:
            yield os.wait4(-1, 0)[2]
        except ChildProcessError:
            return


def _family(pid: int) -> list[int]:
    """Return the process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        children = []
    return [pid, *(one for child in children for one in _family(int(child)))]


def _memory(pid: int) -> float:
    """Return the MiB that are the process's, and its share of those that it has with others; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


if __name__ == "__main__":
    main()
