"""The entries of the allow and deny lists."""

from enum import Enum


class SenderKind(Enum):
    """The kinds of entries: an address, a domain or a mailing list."""

    ADDRESS = 1
    DOMAIN = 2
    LIST = 3


def parse_sender(entry: str) -> tuple[SenderKind, str]:
    """Return the kind of an entry and its address, domain or List-Id in lower case.

    `friend@x.org` is one address. `@x.org` is all addresses of x.org and its subdomains. `list:announce.x.org` is the
    mailing list with that List-Id. Raises ValueError with the valid forms if `entry` has none of these forms.
    """
    wanted = entry.strip().lower()
    local, at, domain = wanted.rpartition("@")
    if wanted.startswith("list:") and wanted[5:].strip():
        return SenderKind.LIST, wanted[5:].strip().strip("<>")
    if not at or not domain.strip(".") or any(c.isspace() for c in wanted):
        raise ValueError(f"{entry!r} is not an allow or deny entry: {_hint(wanted)}")
    return (SenderKind.ADDRESS, wanted) if local else (SenderKind.DOMAIN, domain.strip("."))


def _hint(entry: str) -> str:
    if entry.isprintable() and "." in entry and not {"@", ":", " "} & set(entry):
        return f"write '@{entry}' for everyone there, 'name@{entry}' for one address, 'list:{entry}' for a mailing list"
    return "write an address (friend@x.org), a domain (@x.org) or a mailing list (list:announce.x.org)"
