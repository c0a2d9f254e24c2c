"""Innocent text of a language: sentences of templates and newsletters, for slots of free text, quotes and padding."""

from __future__ import annotations

import re
from collections import defaultdict
from random import Random

from .material import SLOT, Material

_END = re.compile(r"(?<=[.!?。！？])\s+|\n+")
_MOST = 600
"""At most this many sentences of a language are kept."""
_SOURCES = ("app:OJS-PKP", "app:MediaWiki", "app:Indico", "app:Alaveteli", "app:Dataverse", "app:NodeBB")
"""The applications whose sentences are used. Only for these is leaving out an application not complete."""


class Filler:
    """The sentences of the material, by language."""

    def __init__(self, material: Material) -> None:
        found: dict[str, list[str]] = defaultdict(list)
        for sources in material.templates.values():
            for text in (text for source in _SOURCES for text in sources.get(source, ())):
                if len(found[text.lang]) < _MOST:
                    found[text.lang] += _sentences(text.text)
        for issues in material.newsletters.values():
            for issue in issues[:12]:
                found[issue.lang] += _sentences(issue.text)[:60]
        self._by_language = {lang: tuple(dict.fromkeys(lines)) for lang, lines in found.items() if len(lines) >= 8}

    def sentences(self, lang: str) -> tuple[str, ...]:
        """Return sentences of a language, or English ones; empty if there are none."""
        for code in (lang, lang.partition("-")[0], "zh-hans" if lang.startswith("zh") else lang, "en"):
            if code in self._by_language:
                return self._by_language[code]
        return ()

    def words(self, rng: Random, lang: str, count: int) -> str:
        """Return about `count` words in whole sentences."""
        sentences, out, length = self.sentences(lang), [], 0
        while sentences and length < count:
            out.append(rng.choice(sentences))
            length += len(out[-1].split()) if out[-1].isascii() else len(out[-1]) // 5
        return " ".join(out)


def _sentences(text: str) -> list[str]:
    """Return the sentences of a text that have no slot, link or markup."""
    return [
        line.strip()
        for line in _END.split(text)
        if 25 < len(line.strip()) < 200 and not SLOT.search(line) and not re.search(r"https?:|[<>|@#*]", line)
    ]
