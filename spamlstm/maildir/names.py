"""File names of messages in a Maildir: parsed, changed for another folder, and made unique."""

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
"""The parts of a folder that hold messages. No mail program has shown the messages in new."""
PARTS: tuple[AnyPart, ...] = ("new", "cur", "tmp")
# The limit of Linux file systems (NAME_MAX).
MOST_NAME_BYTES = 255

COLON = ":"
# Written on file systems that cannot store a colon, as mbsync and go-maildir do.
SEMICOLON = ";"

# Lone surrogates stand for bytes that are not UTF-8. Such a byte may be part of a letter.
_OTHER_INFO = re.compile(r"(?!^)([^\w,.=\ud800-\udfff]|_)(2,[A-Za-z]*)\Z")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
# Servers and clients add and remove these fields while a message stays the same: S and W (Maildir++), U (mbsync), FMD5
# (OfflineIMAP). Any other comma is part of the base name.
_FIELD = re.compile(r",(?=[A-Z][A-Z0-9]*=)")
# The time with which all programs begin a name.
_NAMED = re.compile(r"(\d{9,10})\.")
_deliveries = itertools.count()


class GoneError(Exception):
    """Raised if a message no longer has its name, because a mail program renamed it or a user removed it.

    This is a normal condition. The caller lists the folder again.
    """


def split_info(name: str) -> tuple[str, str, str]:
    """Return the part of a file name before the info, the separator, and the info. The last two are "" without info.

    The separator is the first colon. File systems of Windows and Android cannot store a colon, and each program
    replaces the colon by another character: mbsync and go-maildir by `;`, OfflineIMAP and Evolution by `!`, Android by
    `_`, Cygwin by U+F03A, NeoMutt and Python by a configured one. So without a colon, any character except letters,
    digits, `,`, `.` and `=` is the separator if only `2,` and letters follow.
    """
    stem, colon, info = name.partition(COLON)
    if colon:
        return stem, colon, info
    found = _OTHER_INFO.search(name) if "2," in name else None
    return (name[: found.start()], found[1], found[2]) if found else (name, "", "")


def base_of(name: str) -> str:
    """Return the base name of a file name. Equals `Name.parse(name).base` in a fraction of the time."""
    # The usual names do not need a regular expression.
    stem, colon, _ = name.partition(COLON)
    if not colon and "2," in name and not name[-1].isdecimal():
        stem = split_info(name)[0]
    base, comma, fields = stem.partition(",")
    if not comma or fields.startswith(("S=", "U=", "W=")):
        return base
    field = _FIELD.search(stem)
    return stem[: field.start()] if field else stem


def letters_of(name: str) -> str:
    """Return the letters for flags and keywords in a file name. Equals those of `Name.parse(name)`, in less time."""
    info = split_info(name)[2]
    return info[2:].partition(",")[0] if info.startswith("2,") else ""


@dataclass(frozen=True, slots=True)
class Name:
    """A parsed file name, `base[,field]...[:info]`. `str()` returns exactly the name that was parsed.

    `fields` keep their order, each with its key (`S=123`). `info` is the text after the separator, or None without a
    separator. Names in new usually have no `info`.
    """

    base: str
    fields: tuple[str, ...] = ()
    info: str | None = None
    separator: str = COLON
    """The character before `info`. It is kept when the file is renamed."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a file name. Every name is valid."""
        stem, separator, info = split_info(text)
        base, *rest = _FIELD.split(stem, 1)
        fields = tuple(rest[0].split(",")) if rest else ()
        return cls(base, fields, info, separator) if separator else cls(base, fields)

    def __str__(self) -> str:
        stem = ",".join((self.base, *self.fields))
        return stem if self.info is None else f"{stem}{self.separator}{self.info}"

    @property
    def flags(self) -> str:
        """The standard flags (upper-case letters), sorted, without duplicates."""
        return "".join(sorted({letter for letter in self._split_letters()[0] if "A" <= letter <= "Z"}))

    @property
    def keywords(self) -> str:
        """The keyword letters (lower-case), sorted. The file `dovecot-keywords` of the folder lists their keywords."""
        return "".join(sorted({letter for letter in self._split_letters()[0] if "a" <= letter <= "z"}))

    def elsewhere(self, *, base: str, keywords: Mapping[str, str] | None = None) -> Self:
        """Return the name for another folder, with the new `base`.

        `U=` is dropped, because mbsync numbers messages by folder. `keywords` maps the keyword letters of this folder
        to the letters of the same keywords in the other folder. Letters without a mapping are dropped.
        """
        info = self.info
        if info is not None and info.startswith("2,"):
            mapped = {(keywords or {}).get(letter, "") for letter in self.keywords}
            info = f"2,{''.join(sorted({*self.flags, *mapped}))}{self._split_letters()[1]}"
        return replace(self, base=base, fields=self._without("U="), info=info)

    def with_keyword(self, letter: str) -> Self:
        """Return the name with the keyword letter `letter` added."""
        letters, more = self._split_letters()
        return replace(self, info=f"2,{''.join(sorted({*letters, letter}))}{more}")

    def without_keyword(self, letter: str) -> Self:
        """Return the name without the keyword letter `letter`."""
        letters, more = self._split_letters()
        return replace(self, info=f"2,{letters.replace(letter, '')}{more}") if letter in letters else self

    def rewritten(self, content: bytes, *, base: str) -> Self:
        """Return the name for a fresh file in the same folder, with the new `base` and the bytes `content`.

        `S=` and `W=` are set to the new sizes, `U=` is dropped, and the flags are kept. For a file in another folder,
        use `elsewhere` on the result.
        """
        bare = content.count(b"\n") - content.count(b"\r\n")
        sizes = (f"S={len(content)}", f"W={len(content) + bare}")
        return replace(self, base=base, fields=(*sizes, *self._without("S=", "W=", "U=")))

    def within(self, part: Part, *, separator: str = COLON) -> Self:
        """Return the name in the form for `part`. In cur, every name ends in `:2,` and its flags.

        `separator` is used if the name has no info yet.
        """
        return replace(self, info="2,", separator=separator) if part == "cur" and self.info is None else self

    def fitting(self) -> Self:
        """Return the name shortened to MOST_NAME_BYTES.

        The last fields are removed first, then unknown flags, then the sizes. The base and the flags are kept. This is
        needed because a name may already have 255 bytes before this program adds to the name.
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

    def _split_letters(self) -> tuple[str, str]:
        """Return the letters for flags and keywords, and the data that other programs store after a second comma."""
        if self.info is None or not self.info.startswith("2,"):
            return "", ""
        letters, comma, more = self.info[2:].partition(",")
        return letters, comma + more

    def _without(self, *keys: str) -> tuple[str, ...]:
        return tuple(field for field in self.fields if not field.startswith(keys))


def unique() -> str:
    """Return a unique base name made of the time, process id, count, random digits and host name, as in maildir(5)."""
    now = time.time_ns() // 1000
    count, digits = next(_deliveries), os.urandom(4).hex()
    return f"{now // 1_000_000}.M{now % 1_000_000:06}P{os.getpid()}Q{count}R{digits}.{_host(os.uname().nodename)}"


def named_at(name: str) -> float | None:
    """Return when a program gave a file its base name, in seconds since 1970, or None if the name does not tell."""
    found = _NAMED.match(name)
    return float(found[1]) if found else None


def _host(name: str) -> str:
    """Return a host name with all unsafe characters escaped in octal, as maildir(5) does for / and :.

    A comma is escaped too, because it separates fields. The result has at most 64 characters.
    """
    escaped = _UNSAFE.sub(lambda match: "".join(f"\\{byte:03o}" for byte in match[0].encode("utf-8", "replace")), name)
    return escaped[:64] or "localhost"
