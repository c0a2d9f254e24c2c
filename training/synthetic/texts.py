"""The words of one language, and the small grammar that makes sentences of them.

A file `texts/CODE.txt` holds lists (`@ name`, items separated by `;`) and kinds (`= ham/receipt`), whose lines start
with one letter: s subject, o opening, b body sentence, r row of facts (`label = value`), c call to action, x closing.
In a sentence `[a|b|]` is a choice and `{slot}` a fact of the message or an item of the list of that name;
⟦ ⟧ are brackets that stay.
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
    """The sentences of one kind of mail, by the letter of their role."""

    lines: Mapping[str, tuple[str, ...]]

    def of(self, role: str) -> tuple[str, ...]:
        """All lines of a role; empty where there are none."""
        return self.lines.get(role, ())


@dataclass(frozen=True)
class Language:
    """One language's lists and kinds."""

    code: str
    lists: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, KindText]


def read_text(name: str) -> str:
    """A data file of this package."""
    return files(__package__).joinpath("texts", name).read_text(encoding="utf-8")


@cache
def language(code: str) -> Language:
    """The words of a language, read once."""
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
    """`text` parsed: strings, ('{', slot) and ('[', options)."""
    parts, end = _parse(text, 0, "")
    if end != len(text):
        message = f"unbalanced bracket in {text!r}"
        raise ValueError(message)
    return parts


def _parse(text: str, start: int, stops: str) -> tuple[Template, int]:
    """The parts from `start` up to one of `stops` that is not inside a bracket, and where that is."""
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
    """Brackets that stand for themselves are written ⟦ ⟧ in the files."""
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
    """The facts of one message while it is being written; a fact, once named, stays the same."""

    rng: Random
    language: Language
    makers: Mapping[str, Callable[[Scene], str]]
    facts: dict[str, str] = field(default_factory=dict)

    def say(self, text: str) -> str:
        """One sentence from a template."""
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
        """The fact of that name: known, made now and kept, or an item of a list (fresh each time)."""
        known = self.facts.get(name)
        if known is not None:
            return known
        maker = self.makers.get(name) or self.makers.get(name.rstrip("123456"))
        if maker is None:
            return self.pick(name)
        made = self.facts[name] = maker(self)
        return made

    def pick(self, name: str) -> str:
        """An expanded item of a list of the language; empty where the language has no such list."""
        items = self.language.lists.get(name)
        return self.say(self.rng.choice(items)) if items else ""
