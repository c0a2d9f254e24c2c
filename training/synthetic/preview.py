"""Generated messages to look at, with the choices that were made for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from email import message_from_bytes
from email.policy import default
from itertools import count as numbers
from pathlib import Path
from random import Random

from spamlstm.errors import UserError

from . import Sample, samples
from .modern import Dressed, Dresser, draw_dressed, kinds, load_material
from .modern.own_texts import own_texts
from .modern.reports import REPORTS


def draw(folder: Path | None, *, kind: str, label: str, count: int, seed: int) -> Iterator[Dressed | Sample]:
    """Yield `count` messages of a kind or source and a label; if these are empty, of any.

    Raises UserError if there is no such kind or it has another label, and NoInputError if `folder` lacks a file.
    """
    if label not in ("", "ham", "spam"):
        raise UserError(f"--label takes ham or spam, not {label!r}")
    if label and kind.partition("/")[0] in {"ham", "spam"} - {label}:
        raise UserError(f"--label {label} has no effect on --kind {kind}; leave out one of them")
    if folder is None:
        found = (one for one in samples(seed=seed, count=10_000) if kind in ("", one.kind) and label in ("", one.label))
        yield from _first(found, count, kind or label)
        return
    dresser = Dresser(load_material(folder))
    make = _maker(dresser, kind)
    for number in range(count):
        yield make(Random(f"{seed} {number}"), label or ("spam" if number % 2 else "ham"))


def described(one: Dressed | Sample) -> str:
    """Return a message as text, below a line of the choices that were made for it. Text parts are decoded."""
    choices = {name: value for name, value in asdict(one).items() if name != "raw" and value}
    out = [f"===== {choices}", one.raw.partition(b"\n\n")[0].decode("utf-8", "replace")]
    for part in message_from_bytes(one.raw, policy=default).walk():
        if part.is_multipart():
            continue
        out.append(f"\n--- {part.get_content_type()} {part.get_filename() or ''}".rstrip())
        if part.get_content_maintype() == "text":
            out.append(part.get_content())
    return "\n".join(out)


def _first(found: Iterator[Sample], count: int, what: str) -> Iterator[Sample]:
    for number, one in zip(numbers(1), found, strict=False):
        yield one
        if number == count:
            return
    raise UserError(f"--kind {what}: not enough such mail; with --modern there are more kinds")


def _maker(dresser: Dresser, kind: str) -> Callable[[Random, str], Dressed]:
    """Return a function that makes messages of `kind`: a kind, a source, or any kind if it is empty."""
    name = kind.partition("/")[2]
    if not kind:
        return lambda rng, label: draw_dressed(rng, dresser, label)
    if kind in kinds() and name in REPORTS:
        return lambda rng, _: dresser.report(rng, name)
    if kind in kinds() and name != "forwarded":
        label, texts = kind.partition("/")[0], own_texts(kind.partition("/")[0])[kind]
        return lambda rng, _: dresser.own(rng, rng.choice(texts), label)
    sources = {**dresser.material.newsletters}
    for of_kind in dresser.material.templates.values():
        for source, templates in of_kind.items():
            sources[source] = [*sources.get(source, ()), *templates]
    if kind not in sources:
        raise UserError(f"--kind {kind}: no such kind; there are {', '.join((*kinds(), *sorted(sources)))}")
    return lambda rng, label: dresser.template(rng, rng.choice(sources[kind]), label)
