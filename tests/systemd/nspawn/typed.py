"""Runs `paypoll setup` inside the container as a person types: what is there is kept, and the digest is left as it is.

Prints what the terminal showed, and stops with a sentence where it should have shown something else.
"""

# What is started is paypoll's own wrapper, by name.
# ruff: noqa: S607, T201

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

SECRET = "sup_sk_sandbox"
ANSWERS = (
    ("1 of 7", "/srv/nothing"),
    ("1 of 7", ""),
    ("2 of 7", ""),
    ("3 of 7", "<"),
    ("2 of 7", ""),
    ("3 of 7", ""),
    ("4 of 7", "support@shop.example"),
    ("5 of 7", ""),
    ("6 of 7", ""),
    ("7 of 7", ""),
    ("Set it up like this?", "y"),
    ("Start the timer?", "y"),
)


def main() -> None:
    """Type every answer when its question stands there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(["paypoll", "setup"], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    screen, at, began = "", 0, time.monotonic()
    for question, answer in ANSWERS:
        while (found := screen.find(question, at)) < 0:
            if not select.select([ours], [], [], 120)[0]:
                sys.exit(f"NOT SO: {question} is asked\n{screen}")
            try:
                screen += os.read(ours, 1 << 16).decode(errors="replace")
            except OSError:
                sys.exit(f"NOT SO: {question} is asked before it ends\n{screen}")
        at = found + len(question)
        time.sleep(0.3)  # what is typed before an unseen answer is asked for is thrown away
        os.write(ours, f"{answer}\n".encode())
    while True:
        try:
            more = os.read(ours, 1 << 16)
        except OSError:
            break
        screen += more.decode(errors="replace")
    code = process.wait(60)
    print(screen)
    print(f"TYPED in {time.monotonic() - began:.0f} s")
    if code or SECRET in screen or "no such file" not in screen:
        sys.exit(f"NOT SO: it goes well without showing the key (status {code})")
    settings = Path("/etc/paypoll/config.toml").read_text(encoding="utf-8")
    copies = [copy for copy in Path("/etc/paypoll").glob("config.toml.*.bak") if "help@" in copy.read_text("utf-8")]
    if "support@shop.example" not in settings or not copies:
        sys.exit("NOT SO: what was changed is written, and a copy of what was there is kept")


if __name__ == "__main__":
    main()
