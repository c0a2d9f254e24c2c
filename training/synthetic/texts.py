"""The texts of a language, and the small template grammar that makes sentences of them.

A file `texts/CODE.txt` holds lists (`@ name`, items separated by `;`) and kinds (`= ham/receipt`). The lines of a kind
start with one letter: s subject, o opening, b body sentence, r row of facts (`label = value`), c call to action, x
closing. In a sentence, `[a|b|]` is a choice, and `{slot}` is a fact of the message or an item of the list of that name.
⟦ ⟧ stand for literal brackets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from random import Random

Part = str | tuple[str, object]
Template = tuple[Part, ...]


@dataclass(frozen=True)
class KindText:
    """The sentences of one kind of mail, by role letter."""

    lines: Mapping[str, tuple[str, ...]]

    def of(self, role: str) -> tuple[str, ...]:
        """Return all lines of a role; empty if there are none."""
        return self.lines.get(role, ())


@dataclass(frozen=True)
class Language:
    """The lists and kinds of one language."""

    code: str
    lists: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, KindText]


def read_text(name: str) -> str:
    """Return a data file of this package."""
    return files(__package__).joinpath("texts", name).read_text(encoding="utf-8")


@cache
def language(code: str) -> Language:
    """Return the texts of a language; each file is read once."""
    lists: dict[str, list[str]] = {}
    kinds: dict[str, dict[str, list[str]]] = {}
    items: list[str] = []
    roles: dict[str, list[str]] | None = None
    for line in read_text(f"{code}.txt").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        mark, _, rest = line.partition(" ")
        if mark == "@":
            roles, items = None, lists.setdefault(rest.strip(), [])
        elif mark == "=":
            roles = kinds.setdefault(rest.strip(), {})
        elif roles is not None:
            roles.setdefault(mark, []).append(rest.strip())
        else:
            items.extend(item.strip() for item in line.split(";") if item.strip())
    return Language(
        code,
        {name: tuple(values) for name, values in lists.items()},
        {name: KindText({role: tuple(v) for role, v in found.items()}) for name, found in kinds.items()},
    )


@cache
def template(text: str) -> Template:
    """Parse a template into strings, ('{', slot) and ('[', options). ValueError if brackets are unbalanced."""
    parts, end = _parse(text, 0, "")
    if end != len(text):
        message = f"unbalanced bracket in {text!r}"
        raise ValueError(message)
    return parts


def _parse(text: str, start: int, stops: str) -> tuple[Template, int]:
    """Return the parts from `start` up to one of `stops` outside brackets, and its position."""
    parts: list[Part] = []
    plain = at = start
    while at < len(text) and text[at] not in stops:
        if text[at] in "{[":
            if plain < at:
                parts.append(_literal(text[plain:at]))
            part, at = _slot(text, at) if text[at] == "{" else _options(text, at)
            parts.append(part)
            plain = at
        else:
            at += 1
    if plain < at:
        parts.append(_literal(text[plain:at]))
    return tuple(parts), at


def _literal(text: str) -> str:
    """Replace ⟦ ⟧ by the literal brackets that they stand for."""
    return text.replace("⟦", "[").replace("⟧", "]")


def _slot(text: str, at: int) -> tuple[Part, int]:
    end = text.index("}", at)
    return ("{", text[at + 1 : end]), end + 1


def _options(text: str, at: int) -> tuple[Part, int]:
    options: list[Template] = []
    while text[at] != "]":
        option, at = _parse(text, at + 1, "|]")
        options.append(option)
    return ("[", tuple(options)), at + 1


@dataclass
class Scene:
    """The facts of one message. A fact keeps its value once it is drawn."""

    rng: Random
    language: Language
    makers: Mapping[str, Callable[[Scene], str]]
    facts: dict[str, str] = field(default_factory=dict)

    def say(self, text: str) -> str:
        """Return one sentence from a template."""
        out: list[str] = []
        self._expand(template(text), out)
        return "".join(out)

    def _expand(self, parts: Template, out: list[str]) -> None:
        for part in parts:
            if isinstance(part, str):
                out.append(part)
            elif part[0] == "{":
                out.append(self.fact(part[1]))  # type: ignore[arg-type]  # a slot's second half is its name
            else:
                self._expand(self.rng.choice(part[1]), out)  # type: ignore[arg-type]  # … and an option's, templates

    def fact(self, name: str) -> str:
        """Return the fact `name`, drawing it if needed; without a maker, a fresh item of the list `name`."""
        known = self.facts.get(name)
        if known is not None:
            return known
        maker = self.makers.get(name) or self.makers.get(name.rstrip("123456"))
        if maker is None:
            return self.pick(name)
        made = self.facts[name] = maker(self)
        return made

    def pick(self, name: str) -> str:
        """Draw and expand an item of a list; empty if the language has no such list."""
        items = self.language.lists.get(name)
        return self.say(self.rng.choice(items)) if items else ""
