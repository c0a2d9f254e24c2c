"""A reader that takes all that is new to cur and changes flags all the time, as a process of its own."""

import os
import random
import subprocess
import sys
from pathlib import Path

import on_disk

from spamlstm.mail import maildir
from spamlstm.mail.maildir import Name


def start(root: str) -> subprocess.Popen[str]:
    """Begin to read; `stop` ends it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, __file__, root]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def stop(reader: subprocess.Popen[str]) -> int:
    """End it; gives how many names it changed."""
    out, _ = reader.communicate("stop\n", timeout=60)
    return int(out)


def main(root: str) -> int:
    """Rename until there is something on standard input; gives how often."""
    import select

    chance, changes = random.Random(0), 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        for folder in (root, str(Path(root, ".Junk"))):
            if maildir.is_maildir(folder):
                changes += _read(folder, chance)
    return changes


def _read(folder: str, chance: random.Random) -> int:
    changes = 0
    entries = list(on_disk.messages(folder))
    # What is new at once; of the rest a few, as a user who marks some.
    old = [entry for entry in entries if entry.part == "cur"]
    for entry in [entry for entry in entries if entry.part == "new"] + chance.sample(old, min(20, len(old))):
        name = Name.parse(entry.name)
        flags = chance.choice(["", "S", "FS", "RS"])
        target = Path(folder, "cur", str(Name(name.base, name.fields, "2," + flags)))
        try:
            Path(entry.path).rename(target)
            changes += 1
        except FileNotFoundError:
            continue
    return changes


if __name__ == "__main__":
    print(main(sys.argv[1]))  # noqa: T201
