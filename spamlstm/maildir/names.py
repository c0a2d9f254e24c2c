"""The names of messages in a Maildir: what they say, and how a fresh one is made."""

# os keeps names as they were given:
# ruff: noqa: PTH112, PTH118

import itertools
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

Part = Literal["new", "cur"]
AnyPart = Literal["new", "cur", "tmp"]

DELIVERED: tuple[Part, ...] = ("new", "cur")
"""The parts of a folder that hold its messages; those in new were not seen by a mail program yet."""
PARTS: tuple[AnyPart, ...] = ("new", "cur", "tmp")
# What the file systems of Linux take (NAME_MAX).
MOST_NAME_BYTES = 255

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_deliveries = itertools.count()


class GoneError(Exception):
    """The message is no longer under its name: a reader renamed it, or a user removed it. Normal; look again."""


@dataclass(frozen=True, slots=True)
class Name:
    """A message's file name in its pieces: `base[,field]...[:info]`. `str()` gives back exactly what was parsed.

    `fields` stand in the order found, each with its letter (`S=123`); `info` is all behind the first colon, None
    without one, which in `new` is the rule.
    """

    base: str
    fields: tuple[str, ...] = ()
    info: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take any file name apart; none is refused."""
        stem, colon, info = text.partition(":")
        base, *fields = stem.split(",")
        return cls(base, tuple(fields), info if colon else None)

    def __str__(self) -> str:
        stem = ",".join((self.base, *self.fields))
        return stem if self.info is None else f"{stem}:{self.info}"

    @property
    def size(self) -> int | None:
        """What `S=` says: the size of the file in bytes."""
        return self._number("S=")

    @property
    def wire_size(self) -> int | None:
        """What `W=` says: the size with each line ended by CRLF."""
        return self._number("W=")

    @property
    def flags(self) -> str:
        """The standard flags (upper-case letters), in ASCII order, each once."""
        return "".join(sorted({letter for letter in self._letters if "A" <= letter <= "Z"}))

    @property
    def keywords(self) -> str:
        """The letters that stand for keywords in the `dovecot-keywords` of this one folder, in order, each once."""
        return "".join(sorted({letter for letter in self._letters if "a" <= letter <= "z"}))

    def elsewhere(self, *, base: str, keywords: Mapping[str, str] | None = None) -> Self:
        """The name for another folder, under the fresh `base`.

        `U=` goes, as mbsync numbers messages by folder. Keyword letters mean other words there, so they are put
        through `keywords` (letter here to letter there) and dropped where that has none.
        """
        info = self.info
        if info is not None and info.startswith("2,"):
            mapped = {(keywords or {}).get(letter, "") for letter in self.keywords}
            _, comma, more = info[2:].partition(",")
            info = "2," + "".join(sorted({*self.flags, *mapped})) + comma + more
        return replace(self, base=base, fields=self._without("U="), info=info)

    def rewritten(self, *, base: str, size: int, wire_size: int) -> Self:
        """The name for a fresh file of other bytes in the same folder: `S=` and `W=` true, `U=` gone, flags kept."""
        sizes = (f"S={size}", f"W={wire_size}")
        return replace(self, base=base, fields=(*sizes, *self._without("S=", "W=", "U=")))

    def within(self, part: Part) -> Self:
        """The name as it has to be in `part`: in cur every name has flags, if only none."""
        return replace(self, info="2,") if part == "cur" and self.info is None else self

    def fitting(self) -> Self:
        """The name, cut to what a directory takes: the last fields go first, of the sizes none, then foreign flags.

        The base and the flags stay. A sender or a client may have used up all 255 bytes before we add to them.
        """
        name = self
        while len(os.fsencode(str(name))) > MOST_NAME_BYTES:
            spare = [field for field in name.fields if not field.startswith(("S=", "W="))]
            if spare:
                at = len(name.fields) - 1 - name.fields[::-1].index(spare[-1])
                name = replace(name, fields=name.fields[:at] + name.fields[at + 1 :])
            elif name.info not in (None, short := "2," + self.flags + self.keywords):
                name = replace(name, info=short)
            elif name.fields:
                name = replace(name, fields=())
            else:
                break
        return name

    @property
    def _letters(self) -> str:
        # Behind a second comma other programs keep what is their own.
        return self.info[2:].partition(",")[0] if self.info and self.info.startswith("2,") else ""

    def _number(self, key: str) -> int | None:
        digits = next((field[2:] for field in self.fields if field.startswith(key)), "")
        return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 20 else None

    def _without(self, *keys: str) -> tuple[str, ...]:
        return tuple(field for field in self.fields if not field.startswith(keys))


def unique() -> str:
    """A base name that no delivery has had: time, process, count, chance and host, as maildir.5 asks."""
    now = time.time_ns() // 1000
    count, chance = next(_deliveries), os.urandom(4).hex()
    return f"{now // 1_000_000}.M{now % 1_000_000:06}P{os.getpid()}Q{count}R{chance}.{_host(os.uname().nodename)}"


def _host(name: str) -> str:
    """maildir.5 escapes / and : in octal; a comma would look like a field, and other signs help nobody."""
    escaped = _UNSAFE.sub(lambda match: "".join(f"\\{byte:03o}" for byte in match[0].encode("utf-8", "replace")), name)
    return escaped[:64] or "localhost"


def is_maildir(path: str) -> bool:
    """Whether the directory at `path` has new, cur and tmp. For messages to users; work on an OpenMaildir."""
    return all(os.path.isdir(os.path.join(path, part)) for part in PARTS)
