"""`python -m training.synthetic` prints generated messages, to look at them, or writes them to a folder.

python -m training.synthetic --seed 1 --count 20 --out DIR            writes DIR/ham/*.eml and DIR/spam/*.eml
python -m training.synthetic --modern CORPUS --kind spam/callback      prints three messages of a kind

With --modern, messages are dressed from the texts in a folder, otherwise made of the sentences in training/synthetic.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from spamlstm.errors import ExitStatus, UserError

from . import preview


def main() -> int:
    """Print or write generated mail and return the exit status. An error is printed as one sentence."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modern", type=Path, help="folder of templates and newsletters to make modern mail of")
    parser.add_argument("--kind", default="", help="only this kind or source: spam/callback, ham/cron, app:WooCommerce")
    parser.add_argument("--label", default="", choices=("", "ham", "spam"), help="only ham or spam")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same messages [default: 1]")
    parser.add_argument("--count", type=int, default=3, help="number of messages [default: 3]")
    parser.add_argument("--out", type=Path, help="folder to which each message is written as a file")
    options = parser.parse_args()
    if options.count < 1:
        parser.error("--count takes a number from 1")
    messages = preview.draw(
        options.modern, kind=options.kind, label=options.label, count=options.count, seed=options.seed
    )
    try:
        for number, one in enumerate(messages):
            if options.out is None:
                print(preview.described(one))
                continue
            folder = options.out / one.label
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:06}-{one.kind.rpartition('/')[2]}.eml").write_bytes(one.raw)
    except UserError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(f"{parser.prog}: {error.filename}: {error.strerror}", file=sys.stderr)
        return ExitStatus.IO
    return 0


if __name__ == "__main__":
    sys.exit(main())
