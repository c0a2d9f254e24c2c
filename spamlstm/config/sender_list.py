"""The entries of the allow and deny lists, as users write them."""

from enum import Enum


class SenderKind(Enum):
    """What an entry names."""

    ADDRESS = 1
    DOMAIN = 2
    LIST = 3


def parse_sender(entry: str) -> tuple[SenderKind, str]:
    """The kind of an entry and what it names, in lower case; a ValueError tells what is wrong with one of no kind.

    `friend@x.org` is that address, `@x.org` any address at x.org or below it, `list:announce.x.org` the mailing list
    of that List-Id.
    """
    wanted = entry.strip().lower()
    local, at, domain = wanted.rpartition("@")
    if wanted.startswith("list:") and wanted[5:].strip():
        return SenderKind.LIST, wanted[5:].strip().strip("<>")
    if not at or not domain.strip(".") or any(c.isspace() for c in wanted):
        raise ValueError(f"{entry!r} is no allow or deny entry: {_hint(wanted)}")
    return (SenderKind.ADDRESS, wanted) if local else (SenderKind.DOMAIN, domain.strip("."))


def _hint(entry: str) -> str:
    if entry.isprintable() and "." in entry and not {"@", ":", " "} & set(entry):
        return f"write '@{entry}' for everyone there, 'name@{entry}' for one address, 'list:{entry}' for a mailing list"
    return "write an address (friend@x.org), a domain (@x.org) or a mailing list (list:announce.x.org)"
