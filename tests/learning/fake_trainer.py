"""Stands in for `python -m training finetune`: the bundle that it makes is a copy of the one it is told.

Given a folder too, it leaves a file `waits` there and goes on when there is one called `go`.
"""

import argparse
import shutil
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("bundle", type=Path)
parser.add_argument("folder", type=Path, nargs="?")
for option in ("from", "mail", "out", "version", "origin", "threads"):
    parser.add_argument(f"--{option}", required=True)
wish = parser.parse_args()
assert (Path(wish.mail) / "index.tsv").is_file()
assert (Path(wish.mail) / "targets.json").is_file()
if wish.folder:
    (wish.folder / "waits").touch()
    while not (wish.folder / "go").exists():
        time.sleep(0.01)
shutil.copytree(wish.bundle, wish.out)
