"""The folders of an IMAP account: their roles, and the folder to which spam is moved."""

from collections.abc import Iterable, Sequence

from spamlstm.config import Action, ImapConfig
from spamlstm.config.values import AUTO
from spamlstm.daemon.imap.answers import ListedFolder
from spamlstm.maildir.folders import FolderRole, display_levels, is_sent, junk_rank, role_of

MOST_VISITED = 500
"""The largest number of folders of one account that are visited. Each takes a request to the server."""
NEW_JUNK = "Junk"
MOST_SENT = 20
"""The largest number of Sent folders of one account that are read."""
_SPECIAL_JUNK, _SPECIAL_SENT = "\\junk", "\\sent"
_SPECIAL = {
    _SPECIAL_JUNK: FolderRole.JUNK,
    "\\archive": FolderRole.FILED,
    **dict.fromkeys(("\\trash", _SPECIAL_SENT, "\\drafts", "\\all", "\\flagged", "\\important"), FolderRole.IGNORED),
}
_NO_MAIL = {"\\noselect", "\\nonexistent"}
# Folders are visited in this order, because new mail is classified when the other copies of a message are known.
_ORDER = (FolderRole.FILED, FolderRole.JUNK, FolderRole.INBOX)


def visited_folders(
    listed: Iterable[ListedFolder], account: ImapConfig, *, ignore_folders: Iterable[str]
) -> dict[str, FolderRole]:
    """Return the roles of the folders that are visited, by name, in the order of visits.

    The first folder of the setting `folders` is the last one. Folders for Trash, Sent and so on are not visited. At
    most MOST_VISITED folders are returned.
    """
    ignored = tuple(ignore_folders)
    roles = {one.name: _role(one, account, ignored) for one in _usable(listed, account)}
    main = account.folders[0].casefold()
    kept = [one for one in roles.items() if one[1] in _ORDER]
    kept.sort(key=lambda one: (-_ORDER.index(one[1]), one[0].casefold() != main))
    return dict(reversed(kept[:MOST_VISITED]))


def sent_folders_of(listed: Iterable[ListedFolder], account: ImapConfig) -> list[str]:
    """Return the folders with the mail that the user sent, at most MOST_SENT.

    The setting `sent` names the folder. By default, they are those that the server marks or that have a usual name.
    """
    return [one.name for one in _usable(listed, account) if _is_sent(one, account)][:MOST_SENT]


def junk_target(listed: Sequence[ListedFolder], account: ImapConfig) -> str | None:
    """Return the name of the folder to which spam is moved, or None if it does not exist."""
    usable = _usable(listed, account)
    if account.junk != AUTO:
        exact = [one.name for one in usable if one.name == account.junk]
        same = [one.name for one in usable if _levels(one) == display_levels(account.junk)]
        return next(iter(exact + same), None)
    special = [one.name for one in usable if _SPECIAL_JUNK in one.flags]
    ranked = [(junk_rank(_levels(one)[-1]) or 0, one.name) for one in usable if _is_junk(one)]
    # Sorting keeps the order of folders with one rank.
    return next(iter(special + [name for _, name in sorted(ranked, key=lambda one: one[0])]), None)


def is_junk_classified(listed: Sequence[ListedFolder], account: ImapConfig) -> bool:
    """Return whether the junk folder is one of the folders whose mail is classified, so that spam would stay there."""
    return Action.FILE in account.spam and junk_target(listed, account) in account.folders


def new_junk_names(listed: Sequence[ListedFolder], account: ImapConfig) -> list[str]:
    """Return the names under which a junk folder may be created, the best first. A server may need `INBOX.Junk`."""
    name = NEW_JUNK if account.junk == AUTO else account.junk
    delimiter = next((one.delimiter for one in listed), "/")
    below = f"INBOX{delimiter}"
    names = [name, below + name]
    others = [one.name for one in listed if one.name.upper() != "INBOX"]
    return names[::-1] if others and all(one.upper().startswith(below) for one in others) else names


def inbox_in_capitals(name: str) -> str:
    """Return the name of a folder in the form in which names are compared: only INBOX may be in small letters."""
    return "INBOX" if name.upper() == "INBOX" else name


def _usable(listed: Iterable[ListedFolder], account: ImapConfig) -> list[ListedFolder]:
    """Return the folders that have mail, without those of other users that the configuration does not name."""
    chosen = {*account.folders, account.junk, account.sent}
    return [one for one in listed if not one.flags & _NO_MAIL and (not one.is_foreign or one.name in chosen)]


def _role(one: ListedFolder, account: ImapConfig, ignored: tuple[str, ...]) -> FolderRole:
    if inbox_in_capitals(one.name) in map(inbox_in_capitals, account.folders):
        return FolderRole.INBOX
    if account.sent != AUTO and _is_sent(one, account):
        return FolderRole.IGNORED
    path = "/".join(_path(one)) or "/"
    by_name = role_of(path, junk=account.junk, ignore_folders=ignored)
    is_chosen = by_name is not role_of(path, junk=AUTO)  # by the configuration
    special = [_SPECIAL[flag] for flag in sorted(one.flags) if flag in _SPECIAL]
    return special[0] if special and not is_chosen else by_name


def _is_sent(one: ListedFolder, account: ImapConfig) -> bool:
    if one.name in account.folders:
        return False
    if account.sent != AUTO:
        return one.name == account.sent
    special = {flag for flag in one.flags if flag in _SPECIAL}
    return _SPECIAL_SENT in special or (not special and is_sent("/".join(_path(one)) or "/"))


def _is_junk(one: ListedFolder) -> bool:
    return junk_rank(_levels(one)[-1]) is not None and not any(flag in _SPECIAL for flag in one.flags)


def _levels(one: ListedFolder) -> tuple[str, ...]:
    return display_levels("/".join(_path(one)) or "/")


def _path(one: ListedFolder) -> list[str]:
    return [level for level in one.name.split(one.delimiter) if level]
