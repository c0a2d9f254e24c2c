"""Find what distinguishes dressed ham from dressed phishing of the same texts, besides the intended relations.

artefacts.py FOLDER

`--pairs` templates are each dressed as ham and as phishing, and rendered as the model reads them. Each token is counted
once a message, with its section. The table shows the tokens whose frequency differs most between the classes, in
standard errors: first the facts of relations, which should differ, then everything else, which should not. With
independent choices, about one token in 16,000 exceeds 4. The exit status is 1 if any of the others exceeds `--limit`.
"""

import math
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from measurement import argument_parser

from spamlstm.features.render import render
from spamlstm.message.message import parse_message
from training.synthetic.modern import Dresser, load_material

RELATIONS = """
from name brand local domain zone reply id sign via spf dkim dmarc
links link linkhosts openhost lying images leave reverse helo
""".split()
"""Facts about who sends and where links lead, as rendered."""
RELATION_SECTIONS = ("from", "hosts")
_FACT, _SECTION = re.compile(r"⟦(\w+):(\w+)⟧"), re.compile(r"⟦(from|subject|trace|hosts|files|body)⟧")


def main() -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("folder", type=Path, help="the folder of templates2026.jsonl.xz and the other texts")
    parser.add_argument("--pairs", type=int, default=4_000, help="[default: 4000]")
    parser.add_argument("--seed", type=int, default=1, help="[default: 1]")
    parser.add_argument("--limit", type=float, default=6.0, help="standard errors [default: 6]")
    parser.add_argument("--disguised", action="store_true", help="with disguises and habits, not only the dress")
    arguments = parser.parse_args()
    dresser = Dresser(load_material(arguments.folder))
    ham, spam = counts(dresser, arguments.pairs, arguments.seed, disguised=arguments.disguised)
    rows = sorted(differences(ham, spam, arguments.pairs), key=lambda row: -abs(row[0]))
    intended = [row for row in rows if is_relation(row[1])]
    others = [row for row in rows if not is_relation(row[1])]
    for title, of in (("relations, which should differ", intended), ("everything else", others)):
        print(f"\n{title}\n{'errors':>8}{'ham %':>9}{'spam %':>9}  token")
        for error, token in of[:25]:
            shares = (100 * counter[token] / arguments.pairs for counter in (ham, spam))
            print(f"{error:8.1f}" + "".join(f"{share:9.2f}" for share in shares) + f"  {token}")
    worst = abs(others[0][0]) if others else 0.0
    print(f"\nthe largest difference of the others is {worst:.1f} standard errors; the limit is {arguments.limit:g}")
    return worst > arguments.limit


def counts(dresser: Dresser, pairs: int, seed: int, *, disguised: bool) -> tuple[Counter[str], Counter[str]]:
    """Return how many messages of each class have a token. Each text is dressed once for each class."""
    ham: Counter[str] = Counter()
    spam: Counter[str] = Counter()
    for number in range(pairs):
        text = dresser.material.draw_template(Random(f"{seed} {number}"))
        for label, counter in (("ham", ham), ("spam", spam)):
            message = dresser.template(Random(f"{seed} {number} {label}"), text, label, disguised=disguised)
            counter.update(set(tokens(message.raw)))
    return ham, spam


def tokens(raw: bytes) -> Iterator[str]:
    """Yield the facts and the words of a message, each word with its section."""
    text = render(parse_message(raw))
    for name, value in _FACT.findall(text):
        yield f"{name}={value}"
    pieces = _SECTION.split(_FACT.sub(" ", text))
    for section, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        for word in piece.split():
            yield f"{section}: {word}"


def differences(ham: Counter[str], spam: Counter[str], pairs: int) -> Iterator[tuple[float, str]]:
    """Yield (difference in standard errors, token) for each token of at least ten messages."""
    for token in ham | spam:
        a, b = ham[token], spam[token]
        if a + b >= 10:
            share = (a + b) / (2 * pairs)
            yield (b - a) / pairs / math.sqrt(max(2 * share * (1 - share) / pairs, 1e-12)), token


def is_relation(token: str) -> bool:
    """Return whether a token says who sends or where links lead."""
    if "⟦url⟧" in token:
        return True
    name, mark, _ = token.partition("=")
    section = token.partition(":")[0]
    return (bool(mark) and name in RELATIONS) or section in RELATION_SECTIONS


if __name__ == "__main__":
    sys.exit(main())
