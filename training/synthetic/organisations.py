# ruff: noqa: E501  # the syllables stand in rows
"""Organisations: invented ones, and well-known brands, which occur in both labels.

A brand is the genuine sender of ham and the claimed sender of phishing, so that its name alone is no evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random

from .people import slug
from .texts import Language, Scene, read_text
from .tokens import chance

STARTS = ("vel", "nor", "kin", "bra", "lum", "ori", "tal", "mar", "sol", "fen", "gra", "hel", "jun", "kal", "lin", "mon",
          "nex", "pal", "qui", "ros", "san", "tri", "ula", "ver", "wel", "zan", "ard", "bel", "cor", "dal", "eld", "far",
          "gil", "hav", "iso", "kor", "lav", "mir", "nov", "ost", "pin", "rav", "sel", "tor", "umb", "var", "win", "alt",
          "cam", "dor", "est", "fil", "gar", "hol", "ken", "mel", "nim", "pet", "ren", "sta", "tam", "vin", "wes", "bir")  # fmt: skip
MIDDLES = ("", "", "", "a", "o", "e", "i", "an", "er", "or", "el", "in", "ar", "ta", "no", "li", "ve", "di", "ra", "mo")
ENDS = ("a", "ia", "o", "is", "on", "ex", "ly", "ora", "ano", "ium", "ent", "ell", "mark", "haus", "field", "ton", "berg",
        "wood", "line", "path", "stone", "well", "land", "ville", "dale", "ster", "quist", "ino", "ette", "ara", "eo", "us")  # fmt: skip

TLDS = {
    "en": ("com", "com", "com", "co.uk", "org", "net", "io", "co", "us", "ca", "com.au", "shop", "ie", "info"),
    "de": ("de", "de", "de", "com", "at", "ch", "eu", "org", "shop"),
    "fr": ("fr", "fr", "com", "be", "org", "eu"),
    "es": ("es", "com", "com.mx", "com.ar", "org", "cl"),
    "it": ("it", "it", "com", "eu"),
    "pt": ("pt", "com.br", "com.br", "com"),
    "nl": ("nl", "nl", "be", "com"),
    "pl": ("pl", "pl", "com.pl", "eu"),
    "sv": ("se", "se", "com", "nu"),
    "ja": ("co.jp", "jp", "com", "ne.jp"),
    "zh": ("cn", "com.cn", "com", "com.tw", "com.hk"),
    "ru": ("ru", "ru", "com", "su"),
}


@dataclass(frozen=True)
class Organisation:
    """The real or claimed sender of mail."""

    name: str
    domain: str
    sector: str
    real: bool
    mail_domains: tuple[str, ...] = ()  # other domains that it sends from


@cache
def _brands() -> tuple[tuple[Organisation, frozenset[str]], ...]:
    found: list[tuple[Organisation, frozenset[str]]] = []
    for line in read_text("brands.txt").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, domain, sectors, codes, *more = (part.strip() for part in line.split(";"))
        extra = tuple(more[0].split()) if more else ()
        found.extend(
            (Organisation(name, domain, sector, real=True, mail_domains=extra), frozenset(codes.split()))
            for sector in sectors.split()
        )
    return tuple(found)


@cache
def brands(sector: str, code: str) -> tuple[Organisation, ...]:
    """Return the brands of a sector that write in a language."""
    return tuple(org for org, codes in _brands() if org.sector == sector and (code in codes or "*" in codes))


def coin(rng: Random) -> str:
    """Draw an invented word that could be the name of a company."""
    return (rng.choice(STARTS) + rng.choice(MIDDLES) + rng.choice(ENDS)).capitalize()


def invented(rng: Random, language: Language, sector: str) -> Organisation:
    """Return an invented company, club or office, with a domain made from its name."""
    pattern = "org." + sector
    scene = Scene(rng, language, _NAMING)
    name = scene.pick(pattern) if pattern in language.lists else scene.fact("coin")
    return Organisation(name, domain_of(rng, name, language.code), sector, real=False)


def _native(name: str) -> Callable[[Scene], str]:
    """Return a maker of items of a list, without their Latin spelling."""
    return lambda scene: scene.pick(name).partition("=")[0]


_NAMING: dict[str, Callable[[Scene], str]] = {
    "coin": lambda scene: coin(scene.rng), "lastname": _native("last"), "friend": _native("first"), "city": _native("city"),
    "domain": lambda scene: slug(coin(scene.rng)).capitalize(),
}  # fmt: skip


def domain_of(rng: Random, name: str, code: str) -> str:
    """Draw a domain that an organisation of this name could own."""
    words = [word for word in (slug(word) for word in name.replace("-", " ").split()) if len(word) > 1]
    if not words:
        words = [slug(coin(rng))]
    form = rng.randrange(8)
    if form < 3 or len(words) == 1:
        stem = "".join(words[:3])
    elif form < 5:
        stem = "-".join(words[:3])
    elif form < 7:
        stem = "".join(words[:2])
    else:
        stem = words[0] if len(words[0]) > 3 else "".join(words)
    return f"{stem}.{rng.choice(TLDS[code])}"


def organisation(rng: Random, language: Language, sector: str, real: float) -> Organisation:
    """Draw an organisation of a sector: a brand with probability `real`, if the language has one there."""
    known = brands(sector, language.code)
    if known and chance(rng, real):
        return rng.choice(known)
    return invented(rng, language, sector)
