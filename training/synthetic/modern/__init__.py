"""Modern mail: texts of applications and publishers, and texts of this project, dressed as delivered mail of 2021–2026.

The same text is dressed as its sender sends it, which is ham, and as phishing copies it, which is spam. Spam texts get
the same HTML shells. So neither the wording nor the design shows the label. Only the relations of sender, hosts and
links show it, or what the message asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from ..tokens import chance
from .dressing import Dressed, Dresser
from .material import Material, Shell, load_material
from .own_texts import draw_own, own_texts
from .reports import REPORTS

__all__ = [
    "Dressed",
    "Dresser",
    "Material",
    "draw_dressed",
    "draw_dressed_many",
    "kinds",
    "load_material",
    "modern_mail",
    "own_mail",
]

TEMPLATE, NEWSLETTER = 0.55, 0.07
"""The shares of templates and newsletters among the messages of each class. The rest are texts of this project."""
REPORT, FORWARDED = 0.2, 0.03
"""The shares of reports and of forwarded messages among the ham of this project."""


def modern_mail(folder: Path, *, seed: int, count: int, without: Sequence[str] = ()) -> Iterator[Dressed]:
    """Yield `count` messages, ham and spam in turn. The same seed and files give the same messages.

    `without` names sources to leave out, such as `app:WooCommerce` or `own:callback`. Raises NoInputError if `folder`
    lacks a file.
    """
    dresser = Dresser(load_material(folder, without=without))
    for number in range(count):
        # Each message has a generator of its own, so that a change of one kind leaves the other messages as they are.
        yield draw_dressed(Random(f"{seed} {number}"), dresser, "spam" if number % 2 else "ham", without=without)


def draw_dressed(rng: Random, dresser: Dresser, label: str, *, without: Sequence[str] = ()) -> Dressed:
    """Return one message of a label, of any kind."""
    share = rng.random()
    if share < TEMPLATE:
        return dresser.template(rng, dresser.material.draw_template(rng), label)
    if share < TEMPLATE + NEWSLETTER:
        return dresser.template(rng, dresser.material.draw_newsletter(rng), label)
    if label == "ham":
        reports = [name for name in sorted(REPORTS) if f"own:{name}" not in without]
        if reports and chance(rng, REPORT):
            return dresser.report(rng, rng.choice(reports))
        if chance(rng, FORWARDED):
            return dresser.forwarded(rng, dresser.template(rng, dresser.material.draw_template(rng), "ham"))
    return dresser.own(rng, draw_own(rng, label, without=without), label)


def draw_dressed_many(folder: Path, label: str, *, seed: int, count: int, own: bool = False) -> Iterator[Dressed]:
    """Yield `count` messages of one label without disguises; with `own`, only of the texts of this project."""
    dresser = Dresser(load_material(folder))
    for number in range(count):
        rng = Random(f"{seed} {label} {number}")
        if own:
            yield dresser.own(rng, draw_own(rng, label), label, disguised=False)
        else:
            yield dresser.template(rng, dresser.material.draw_template(rng), label, disguised=False)


def own_mail(*, seed: int, count: int) -> Iterator[Dressed]:
    """Yield `count` messages of the texts and reports of this project, ham and spam in turn. No other files are needed.

    Their pages have no designed shells, and no words from other projects around the texts.
    """
    dresser = Dresser(Material({}, {}, (Shell("none", "{{content}}"),), {}))
    for number in range(count):
        rng, label = Random(f"{seed} {number}"), "spam" if number % 2 else "ham"
        if label == "ham" and chance(rng, REPORT):
            yield dresser.report(rng, rng.choice(sorted(REPORTS)))
        else:
            yield dresser.own(rng, draw_own(rng, label), label)


def kinds() -> list[str]:
    """Return the names of all kinds of texts of this project, such as `spam/callback` and `ham/cron`."""
    names = [kind for label in ("ham", "spam") for kind in own_texts(label)]
    return sorted((*names, *(f"ham/{name}" for name in REPORTS), "ham/forwarded"))
