"""The texts that are dressed as mail: templates of applications, newsletters, HTML shells and the words around them.

They are files of JSON lines in a folder that the user names. None of them is part of this project.
"""

from __future__ import annotations

import json
import lzma
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from spamlstm.errors import DataError, NoInputError

TEMPLATES, NEWSLETTERS = "templates2026.jsonl.xz", "newsletters2026.jsonl.xz"
SHELLS, CHROME = "shells2026.jsonl.xz", "chrome2026.json.xz"

SLOT = re.compile(r"\{\{([^{}]*)\}\}")
_CODE = re.compile(r"\$\{|\{%|%\(|\$[a-z]{4}|%[sd]\b|%appName|\[\[|@\w+\(|<%|&dtml|%\s*\(|\[\w+_\w+\]|preheader")
_MOST_SLOTS = 12
_LARGEST = 40_000
"""Longer texts and shells are left out. Few mails of these kinds are longer."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text without headers. `source` is such as `app:WooCommerce`; texts of one `kin` are translations."""

    source: str
    kin: str
    kind: str
    lang: str
    subject: str
    text: str
    html: str
    publisher: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class Shell:
    """An HTML page with the slot {{content}} and others."""

    name: str
    html: str


@dataclass(frozen=True)
class Material:
    """All texts, by kind and source; shells; and the small words around them by language and slot."""

    templates: Mapping[str, Mapping[str, Sequence[Text]]]
    newsletters: Mapping[str, Sequence[Text]]
    shells: Sequence[Shell]
    chrome: Mapping[str, Mapping[str, Sequence[str]]]

    def words(self, lang: str, slot: str) -> Sequence[str]:
        """Return the words of a language for a slot such as `unsubscribe_text`, or else the English ones."""
        for code in (lang, lang.partition("-")[0], "en"):
            if found := self.chrome.get(code, {}).get(slot):
                return found
        return ("",)

    def draw_template(self, rng: Random) -> Text:
        """Draw a kind, an application that has it, one of its templates, and a translation of that, each evenly.

        So an application with thousands of translations does not outweigh the others.
        """
        apps = self.templates[rng.choice(sorted(self.templates))]
        texts = apps[rng.choice(sorted(apps))]
        kin = rng.choice(texts).kin
        return rng.choice([text for text in texts if text.kin == kin])

    def draw_newsletter(self, rng: Random) -> Text:
        """Draw a publisher and one of its issues."""
        return rng.choice(self.newsletters[rng.choice(sorted(self.newsletters))])


def load_material(folder: Path, *, without: Sequence[str] = ()) -> Material:
    """Read the files of `folder`, leaving out sources such as `app:WooCommerce`.

    Raises NoInputError if a file is missing, and DataError if one is damaged or nothing is left.
    """
    templates: dict[str, dict[str, list[Text]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows(folder / TEMPLATES):
        text = _template(row)
        if text.source not in without and _is_mail(text):
            templates[text.kind][text.source].append(text)
    newsletters: dict[str, list[Text]] = defaultdict(list)
    for row in _rows(folder / NEWSLETTERS):
        issue = _newsletter(row)
        if issue.source not in without and len(issue.html) + len(issue.text) < _LARGEST:
            newsletters[issue.source].append(issue)
    if not templates or not newsletters:
        raise DataError(f"{folder}: no template or no newsletter is left; leave out fewer sources with --without")
    shells = [
        Shell(row["name"], _without_samples(row["html"]))
        for row in _rows(folder / SHELLS)
        if len(row["html"]) < _LARGEST
    ]
    (chrome,) = _rows(folder / CHROME)
    return Material(templates, newsletters, shells, chrome)


def source_of(prefix: str, name: str) -> str:
    """Return the name of a source without spaces, slashes and commas, such as `app:OJS-PKP`."""
    return f"{prefix}:{re.sub(r'[^0-9A-Za-z.+_]+', '-', name).strip('-')}"


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a file, one a line."""
    if not path.is_file():
        raise NoInputError(
            f"{path} is missing; --modern takes the folder with {TEMPLATES}, {NEWSLETTERS}, {SHELLS} and {CHROME}"
        )
    try:
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)
    except (lzma.LZMAError, EOFError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}); get it again") from error


def _template(row: dict[str, Any]) -> Text:
    source = source_of("app", row["app"])
    return Text(
        source=source,
        kin=f"{source}/{row['tid']}",
        kind=row["kind"],
        lang=row["lang"],
        subject=row["subject"] or "",
        text=_tidy(row["text"]),
        html=row["html"] or "",
    )


def _newsletter(row: dict[str, Any]) -> Text:
    source = source_of("news", row["publisher"])
    return Text(
        source=source,
        kin=f"{source}/{row['date']}",
        kind="newsletter",
        lang=row["lang"],
        subject=row["subject"],
        text=row["text"],
        html=row["html"] or "",
        publisher=row["publisher"],
        date=row["date"],
    )


def _tidy(text: str) -> str:
    """Repair the marks that some extracted texts have: `⏎` for a line end, `[/{{url}}]` for a link."""
    return text.replace(" ⏎ ", "\n").replace("⏎", "\n").replace("[/{{url}}]", "({{url}})").replace("&nbsp;", " ")


def _without_samples(html: str) -> str:
    """Return a shell with slots in place of sample addresses and empty links."""
    html = re.sub(r"mailto:[\w.]+@[\w.]+", "mailto:{{email_address}}", html)
    return re.sub(r"href=([\"'])#?\1", r"href=\1{{url}}\1", html)


def _is_mail(text: Text) -> bool:
    """Return whether a template reads like mail: no program code, some words, and more words than slots."""
    rest, slots = SLOT.sub("", text.text), len(SLOT.findall(text.text))
    words = len(rest.split()) if rest.isascii() else len(rest) / 6
    if len(rest.strip()) < 15 or len(text.html) > _LARGEST or "trans(" in text.text:
        return False
    return not _CODE.search(text.text + text.subject) and (slots <= _MOST_SLOTS or slots < 0.4 * words)
