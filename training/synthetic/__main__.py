"""`python -m training.synthetic --seed 1 --count 20 --out DIR` writes DIR/ham/*.eml and DIR/spam/*.eml."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import generate


def main() -> None:
    """Write a folder of generated mail."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for label in ("ham", "spam"):
        (options.out / label).mkdir(parents=True, exist_ok=True)
    for number, (label, raw, kind) in enumerate(generate(seed=options.seed, count=options.count)):
        name = f"{number:06}-{kind.partition('/')[2]}.eml"
        (options.out / label / name).write_bytes(raw)


if __name__ == "__main__":
    main()
