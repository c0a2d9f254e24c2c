"""The texts that were written for this project: kinds of spam and their honest counterparts, in several languages.

A line of `texts/LABEL/LANG.jsonl` has `kind`, `lang`, `subject` and `text`. In both texts, `[a|b]` is a
choice and `{slot}` a value. Optional: `attach` (endings, one of which is drawn), `page` or `seller` (it is dressed as a
page of an organisation, not as a letter), `thread` (it answers the recipient), `to` ("self": the recipient wrote it).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import sqrt
from random import Random

from ..texts import Part, template
from ..tokens import Weighted
from .material import Text, source_of

LANGUAGES = Weighted({
    "en": 38.0, "de": 17.0, "fr": 11.0, "es": 8.0, "it": 5.0, "pt": 4.0, "nl": 3.0, "pl": 3.0, "ja": 4.0, "ru": 3.0,
    "zh-hans": 2.0, "tr": 1.0, "sv": 1.0, "ar": 1.0, "cs": 1.0, "da": 1.0, "el": 1.0, "fa": 1.0, "fi": 1.0, "he": 1.0,
    "hi": 1.0, "hu": 1.0, "ko": 1.0, "ro": 1.0, "uk": 1.0,
})  # fmt: skip


@dataclass(frozen=True)
class OwnText:
    """A text of this project."""

    kind: str
    lang: str
    subject: str
    text: str
    attach: tuple[str, ...] = ()
    page: bool = False
    seller: bool = False
    thread: bool = False
    to: str = ""
    number: int = 0

    @property
    def name(self) -> str:
        """The kind without the label: ham and spam have the same names."""
        return self.kind.partition("/")[2]

    @property
    def source(self) -> str:
        """The name by which training can leave the kind out. Ham and spam of a name are left out together."""
        return source_of("own", self.name)

    def expand(self, rng: Random) -> Text:
        """Return a text with the choices made and the slots as `{{slot}}`."""
        return Text(
            source=self.source,
            kin=f"{self.kind}/{self.number}",
            kind=self.kind,
            lang=self.lang,
            subject=_expand(rng, template(self.subject)),
            text=_expand(rng, template(self.text)),
            html="",
        )


@cache
def own_texts(label: str) -> Mapping[str, Sequence[OwnText]]:
    """Return the texts of a label, 'ham' or 'spam', by kind."""
    found: dict[str, list[OwnText]] = defaultdict(list)
    parts = sorted(files(__package__).joinpath("texts", label).iterdir(), key=lambda part: part.name)
    lines = [line for part in parts for line in part.read_text("utf-8").splitlines()]
    for number, line in enumerate(lines):
        row = json.loads(line)
        row["attach"] = tuple(row.get("attach", ()))
        found[row["kind"]].append(OwnText(number=number, **row))
    return found


@cache
def _by_language(label: str) -> Mapping[str, Mapping[str, Sequence[OwnText]]]:
    """Return the texts of a label by language and kind. The kinds of a language are sorted."""
    found: dict[str, dict[str, list[OwnText]]] = defaultdict(lambda: defaultdict(list))
    for kind, texts in sorted(own_texts(label).items()):
        for text in texts:
            found[text.lang][kind].append(text)
    return found


def draw_own(rng: Random, label: str, *, without: Sequence[str] = ()) -> OwnText:
    """Draw a language, a kind of a label that has it by the root of the number of its texts, and one of its texts.

    Both labels have the same languages in the same proportions, so that no language is evidence.
    """
    lang = LANGUAGES.draw(rng)
    # All texts of a kind have the same source.
    texts = {kind: found for kind, found in _by_language(label).get(lang, {}).items() if found[0].source not in without}
    kinds = list(texts)
    if not kinds:
        return draw_own(rng, label, without=without)
    # A kind with four times as many texts is drawn twice as often. Otherwise single texts would be learned by heart.
    (kind,) = rng.choices(kinds, [sqrt(len(texts[kind])) for kind in kinds])
    return rng.choice(texts[kind])


def _expand(rng: Random, parts: Sequence[Part]) -> str:
    out = []
    for part in parts:
        if isinstance(part, str):
            out.append(part)
        elif part[0] == "{":
            out.append("{{" + str(part[1]) + "}}")
        else:
            out.append(_expand(rng, rng.choice(part[1])))  # type: ignore[arg-type]  # options are templates
    return "".join(out)
