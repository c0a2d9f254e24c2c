"""How similar the texts of unrelated messages are, by the text sketches of the personal layer.

`corpora`: for how many ham messages of the corpora a spam message has a text of at least some similarity.
`templates`: the similarities of texts in one language by different applications. FILE has an object of JSON in each
line, with the keys app, lang and text (compressed by xz).
"""

import argparse
import itertools
import json
import lzma
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from measurement import argument_parser, read_mail
from numpy.typing import NDArray

from spamlstm.features.normalise import normalise
from spamlstm.model.classifier import Classifier
from spamlstm.model.near_duplicates import FEWEST_PARTS
from spamlstm.model.personal_features import NO_PART, SKETCH, parts_of, text_sketch

LIMITS = (0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.8)
QUANTILES = (50, 99, 99.9, 100)
FEWEST_CHARACTERS, MOST_CHARACTERS, MOST_TEXTS = 300, 1500, 60

Sketches = NDArray[np.uint16]  # (N, SKETCH)


def main() -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("what", choices=("corpora", "templates"))
    parser.add_argument("files", type=Path, nargs="+", help="corpora, or one file of templates")
    parser.add_argument("--most", type=int, default=5000, help="only the first MOST messages of each corpus")
    parser.add_argument("--language", action="append", help="a language [default: all with at least 8 texts]")
    arguments = parser.parse_args()
    {"corpora": corpora, "templates": templates}[arguments.what](arguments)
    return 0


def corpora(arguments: argparse.Namespace) -> None:
    """Print a row for each corpus with ham."""
    reader = Classifier.open(personal_features=True).reader
    ham, spam = defaultdict(list), []
    for path in arguments.files:
        for one in read_mail(path, most=arguments.most):
            sketch = sketch_of(reader.read(one.raw).windows)
            if np.count_nonzero(sketch != NO_PART) >= FEWEST_PARTS:
                (spam if one.label == "spam" else ham[path]).append(sketch)
    print(
        f"{'ham':34}{'messages':>10}"
        + "".join(f"{f'from {limit}':>10}" for limit in LIMITS)
        + f" of {len(spam):,} spam"
    )
    for path, sketches in ham.items():
        largest = np.array([similarity(one, np.array(spam)).max() for one in sketches])
        cells = "".join(f"{np.count_nonzero(largest >= limit):>10}" for limit in LIMITS)
        print(f"{path.name:34}{len(sketches):>10}{cells}", flush=True)


def templates(arguments: argparse.Namespace) -> None:
    """Print a row for each language."""
    texts = defaultdict(list)
    with lzma.open(arguments.files[0], "rt") as lines:
        for row in map(json.loads, lines):
            if len(row["text"]) > FEWEST_CHARACTERS:
                texts[row["lang"][:2]].append((row["app"], row["text"][:MOST_CHARACTERS]))
    print("language     pairs" + "".join(f"{f'{share} %':>10}" for share in QUANTILES))
    for language in arguments.language or sorted(texts):
        some = random.Random(1).sample(texts[language], min(MOST_TEXTS, len(texts[language])))
        sketches = [(app, sketch_of([f"⟦body⟧ {normalise(text)[0]}"])) for app, text in some]
        values = list(between_apps(sketches))
        if len(some) >= 8 and values:
            cells = "".join(f"{np.percentile(values, share):>10.2f}" for share in QUANTILES)
            print(f"{language:8}{len(values):>10,}{cells}", flush=True)


def between_apps(sketches: list[tuple[str, Sketches]]) -> Iterator[float]:
    for (app, one), (other_app, other) in itertools.combinations(sketches, 2):
        if app != other_app:
            yield float(similarity(one, other[None])[0])


def sketch_of(windows: Sequence[str]) -> Sketches:
    return parts_of(text_sketch(windows, sender=""))[:SKETCH]


def similarity(one: Sketches, others: Sketches) -> NDArray[np.float64]:
    equal = ((others == one) & (one != NO_PART)).sum(axis=1)
    return equal / np.maximum(np.count_nonzero(others != NO_PART, axis=1), max(np.count_nonzero(one != NO_PART), 1))


if __name__ == "__main__":
    sys.exit(main())
