"""Names, places and notations of a language, and invented people and organisations in it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

from ..organisations import Organisation, brands, coin
from ..people import FREEMAIL, Person, slug, spellings
from ..tokens import chance

MONTHS = "January February March April May June July August September October November December".split()
_FAMILY_NAME_FIRST = ("ja", "ko", "hu", "zh-hans", "zh-hant", "vi")
_NEW_TLDS = "online shop store club info site app dev xyz live".split()
_NO_SPACE = ("ko", "zh-hans", "zh-hant")


@dataclass(frozen=True)
class Locale:
    """The entry of a language in `texts/locales.toml`. A name is (native spelling, Latin spelling)."""

    code: str
    first: tuple[tuple[str, str], ...]
    last: tuple[tuple[str, str], ...]
    city: tuple[str, ...]
    tlds: tuple[str, ...]
    money: tuple[str, ...]
    dates: tuple[str, ...]


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("texts", "locales.toml").read_text("utf-8"))


@cache
def locale(code: str) -> Locale:
    """Return the entry of a language such as `pt-br`, of the language whose names it shares, or the English one."""
    table = _table()
    for name in (
        code,
        table["like"].get(code),
        code.partition("-")[0],
        table["like"].get(code.partition("-")[0]),
        "en",
    ):
        if name in table:
            code, entry = name, table[name]
            break
    return Locale(
        code=code,
        first=tuple(map(spellings, entry["first"].split())),
        last=tuple(map(spellings, entry["last"].split())),
        city=tuple(entry["city"].split()),
        tlds=tuple(entry["tlds"].split()),
        money=tuple(entry["money"].split(",")),
        dates=tuple(entry["dates"].split("|")),
    )


def draw_person(rng: Random, where: Locale, domain: str | None = None) -> Person:
    """Draw a person with a name of the language, at `domain` or at a free provider."""
    (first, latin_first), (last, latin_last) = rng.choice(where.first), rng.choice(where.last)
    if where.code in _FAMILY_NAME_FIRST:
        name = f"{last}{'' if where.code in _NO_SPACE else ' '}{first}"
    else:
        name = f"{first} {last}"
    local = rng.choice(
        (
            f"{latin_first}.{latin_last}",
            f"{latin_first}.{latin_last}",
            f"{latin_first[0]}{latin_last}",
            latin_first,
            f"{latin_first}{latin_last}",
            f"{latin_first}_{latin_last}",
            f"{latin_first}{rng.randrange(50, 2010)}",
            f"{latin_last}.{latin_first[0]}",
        )
    )
    return Person(first, last, name, f"{local}@{domain or FREEMAIL.draw(rng)}")


def draw_domain(rng: Random, where: Locale, stem: str = "") -> str:
    """Draw a domain of an honest organisation: of the country of the language, or under a new top-level domain."""
    zone = rng.choice(_NEW_TLDS) if chance(rng, 0.07) else rng.choice(where.tlds)
    return f"{stem or slug(coin(rng))}.{zone}"


_SUFFIXES = {
    "shop": ("Shop", "Store", "", "", "Market", "Home", "Sport", "Books"),
    "journal": ("Journal", "Review", "Letters", "Studies"),
    "library": ("Library", "Archive", "Collections"),
    "event": ("Festival", "Conference", "Tickets", "Events"),
    "forum": ("Forum", "Community", "Club", "Wiki", ""),
    "software": ("", "", "Cloud", "Systems", "Labs", "App", "Desk"),
    "council": ("Council", "Municipality", "Office"),
    "bank": ("Bank", "Pay", "Finance", ""),
}


def draw_organisation(rng: Random, where: Locale, sector: str, *, real: float) -> Organisation:
    """Draw an organisation: a well-known brand with probability `real` if there is one, otherwise an invented one."""
    known = brands(sector, where.code.partition("-")[0])
    if known and chance(rng, real):
        return rng.choice(known)
    word, suffix = coin(rng), rng.choice(_SUFFIXES.get(sector, ("",)))
    name = f"{word} {suffix}".strip()
    if chance(rng, 0.15):
        name = f"{rng.choice(where.city)} {suffix or word}".strip()
    stem = slug(name.replace(" ", "")) or slug(word)
    if suffix and chance(rng, 0.4):
        stem = f"{slug(word)}-{suffix.lower()}" if chance(rng, 0.4) else slug(word)
    if chance(rng, 0.2):  # the domain of a parent company, an abbreviation, a former name
        stem = rng.choice((slug(coin(rng)), slug(word)[:3])) + rng.choice(("", "-", "24")) + slug(coin(rng))[:5]
    return Organisation(name, draw_domain(rng, where, stem), sector, real=False)


def write_date(rng: Random, where: Locale, day: date) -> str:
    """Return a date in a notation of the language."""
    return rng.choice(where.dates).format(d=day.day, m=day.month, y=day.year, mon=MONTHS[day.month - 1])


def write_amount(rng: Random, where: Locale, pattern: str = "", *, most: int = 800) -> str:
    """Return an amount of up to about `most` euros, in the currency of the language or by a pattern such as '{} €'."""
    pattern = pattern or rng.choice(where.money)
    scale = 400 if "円" in pattern or "원" in pattern or "₩" in pattern or "Rp" in pattern or "₫" in pattern else 1
    whole, cents = int(most ** rng.random() * 1.9) * scale, rng.choice(("00", "00", "99", "95", "90", "50", "49", "20"))
    if scale > 1:
        return pattern.format(f"{whole:,}")
    if where.code in ("en", "he", "hi", "th", "ar", "zh-hans", "zh-hant", "ja", "ko"):
        return pattern.format(f"{whole:,}.{cents}")
    return pattern.format(
        f"{whole:,}".replace(",", " " if where.code in ("fr", "pl", "cs", "ru", "uk", "sv") else ".") + f",{cents}"
    )
