"""People: invented names and mail addresses."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from random import Random

from .texts import Language
from .tokens import Weighted

FREEMAIL = Weighted({
    "gmail.com": 50, "outlook.com": 12, "hotmail.com": 10, "yahoo.com": 8, "icloud.com": 7, "gmx.de": 5, "web.de": 4,
    "orange.fr": 3, "mail.ru": 3, "libero.it": 2, "proton.me": 3, "aol.com": 3, "gmx.net": 2, "live.com": 2,
    "qq.com": 2, "163.com": 1, "yandex.ru": 1, "t-online.de": 2, "free.fr": 1, "wp.pl": 1, "o2.pl": 1,
    "uol.com.br": 1, "hotmail.fr": 1, "hotmail.es": 1, "ziggo.nl": 1, "telia.com": 1, "docomo.ne.jp": 1,
    "btinternet.com": 1,
})  # fmt: skip

_FOLDS = {"ß": "ss", "ø": "o", "ł": "l", "æ": "ae", "đ": "d", "ä": "ae", "ö": "oe", "ü": "ue"}


@dataclass(frozen=True)
class Person:
    """A name and an address."""

    first: str
    last: str
    name: str
    address: str

    @property
    def local(self) -> str:
        """The part before the @."""
        return self.address.partition("@")[0]

    @property
    def domain(self) -> str:
        """The part after the @."""
        return self.address.partition("@")[2]


@cache
def slug(text: str) -> str:
    """Return a text as lower-case ASCII letters and digits, for addresses and domains; may be empty."""
    text = "".join(_FOLDS.get(letter, letter) for letter in text.lower())
    folded = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in folded if letter.isascii() and letter.isalnum())


def spellings(item: str) -> tuple[str, str]:
    """Split an item such as `田中=tanaka` or `Anna` into the name and its Latin spelling."""
    native, _, latin = item.partition("=")
    return native, latin or slug(native)


def person(rng: Random, language: Language, domain: str | None = None) -> Person:
    """Draw a person with a name of a language, at `domain` or a free provider."""
    first, first_latin = spellings(rng.choice(language.lists["first"]))
    last, last_latin = spellings(rng.choice(language.lists["last"]))
    if language.code in ("ja", "zh"):
        name = f"{last}{' ' if language.code == 'ja' else ''}{first}"
    else:
        name = f"{first} {last}"
    local = _local(rng, first_latin, last_latin)
    return Person(first, last, name, f"{local}@{domain or FREEMAIL.draw(rng)}")


def _local(rng: Random, first: str, last: str) -> str:
    form = rng.randrange(9)
    if form < 3:
        return f"{first}.{last}"
    if form == 3:
        return f"{first[0]}{last}"
    if form == 4:
        return first
    if form == 5:
        return f"{first}{rng.randrange(50, 2010)}"
    if form == 6:
        return f"{first}_{last}"
    if form == 7:
        return f"{last}.{first[0]}"
    return f"{first}{last}"
