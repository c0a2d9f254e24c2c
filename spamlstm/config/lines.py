"""Where in a TOML text each key stands, which tomllib does not tell."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator

Place = tuple[str | int, ...]
"""A way down from the top: keys of tables, and indices from 0 into lists and lists of tables."""

_TOKEN = re.compile(
    r'"""(?:\\[\s\S]|[^\\])*?"{3,5}(?!")'
    r"|'''[\s\S]*?'{3,5}(?!')"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[\]{},=\n]"
    r"|[^\s\[\]{},=\"'#]+"
)


def find_lines(text: str) -> dict[Place, int]:
    """The line, from 1, of each key, table and list entry of a text that tomllib can read."""
    scan = _Scan(text)
    scan.document()
    return scan.lines


class _Scan:
    """Walks once through the tokens of a valid text. What would be a mistake has no meaning here."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Place, int] = {}
        self._tokens = _tokens(text.replace("\r\n", "\n"))
        self._now, self._line = next(self._tokens)
        self._tables: Counter[Place] = Counter()  # how many [[table]] of this name there were

    def document(self) -> None:
        table: Place = ()
        while self._now:
            if self._now == "\n":
                self._next()
            elif self._now == "[":
                table = self._header()
            else:
                self._pair(table)

    def _next(self) -> None:
        self._now, self._line = next(self._tokens)

    def _skip(self) -> None:
        while self._now == "\n":
            self._next()

    def _note(self, place: Place, line: int) -> None:
        self.lines.setdefault(place, line)

    def _header(self) -> Place:
        line = self._line
        self._next()
        many = self._now == "["
        if many:
            self._next()
        names = self._key("]")
        self._next()
        if many:
            self._next()
        place: Place = ()
        for depth, name in enumerate(names, 1):
            place = (*place, name)
            if many and depth == len(names):
                self._tables[place] += 1
            self._note(place, line)
            if self._tables[place]:
                place = (*place, self._tables[place] - 1)
                self._note(place, line)
        return place

    def _key(self, end: str) -> list[str]:
        names: list[str] = []
        while self._now not in (end, ""):
            if self._now[0] in "\"'":
                names.append(tomllib.loads(f"key = {self._now}")["key"])
            else:
                names.extend(filter(None, self._now.split(".")))
            self._next()
        return names

    def _pair(self, table: Place) -> None:
        line = self._line
        place = table
        for name in self._key("="):
            place = (*place, name)
            self._note(place, line)
        self._next()
        self._value(place)

    def _value(self, place: Place) -> None:
        if self._now == "[":
            self._list(place)
        elif self._now == "{":
            self._inline_table(place)
        else:
            # A date and its time are two tokens.
            while self._now not in (",", "]", "}", "\n", ""):
                self._next()

    def _list(self, place: Place) -> None:
        self._next()
        self._skip()
        index = 0
        while self._now not in ("]", ""):
            self._note((*place, index), self._line)
            self._value((*place, index))
            self._skip()
            if self._now == ",":
                self._next()
                self._skip()
            index += 1
        self._next()

    def _inline_table(self, place: Place) -> None:
        self._next()
        self._skip()
        while self._now not in ("}", ""):
            self._pair(place)
            self._skip()
            if self._now == ",":
                self._next()
                self._skip()
        self._next()


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """The tokens but for comments, each with its line; at the end "" for ever."""
    line, last = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", last, match.start())
        last = match.start()
        if not match[0].startswith("#"):
            yield match[0], line
    while True:
        yield "", line
