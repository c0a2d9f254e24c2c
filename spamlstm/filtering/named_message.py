"""The content ids of filed messages that a user names by a Message-ID or by the name of a file."""

import os
from collections.abc import Callable, Iterable

from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.errors import UserError
from spamlstm.filtering.journal_rows import Act, UnreadableAct
from spamlstm.filtering.message_id import HEAD_BYTES, message_id_of, without_brackets
from spamlstm.filtering.open_maildirs import OpenMaildirs
from spamlstm.maildir import message_file
from spamlstm.maildir.entry import Entry
from spamlstm.maildir.message_file import UnreadableMessageError
from spamlstm.maildir.names import GoneError, Name, base_of
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.message.compression import is_compressed


def contents_by_name(acts: Iterable[Act | UnreadableAct], name: str) -> tuple[str, ...]:
    """Return the content ids of the messages whose file had this name, with any flags, before or after an act.

    If the name is a path, only messages of a Maildir above it are meant.
    """
    folder, file = os.path.split(name)
    base = Name.parse(file).base
    above = os.path.realpath(folder)
    return tuple(
        {
            act.content
            for act in acts
            if isinstance(act, Act)
            and base in act.intent.bases
            and (not folder or _is_below(above, os.path.realpath(act.maildir)))
        }
    )


def contents_by_message_id(
    acts: Iterable[Act | UnreadableAct], message_id: str, *, open_maildir: Callable[[str], OpenMaildir]
) -> tuple[str, ...]:
    """Return the content ids of the messages that have this Message-ID and are still where an act left them.

    The brackets of the Message-ID may be missing. Messages that cannot be read are left out.
    """
    wanted, found = without_brackets(message_id), set()
    files: dict[tuple[str, str], dict[str, Entry]] = {}
    with OpenMaildirs(open_maildir) as maildirs:
        for act in acts:
            if not isinstance(act, Act):
                continue
            key = act.maildir, act.intent.folder
            if key not in files:
                files[key] = _files(maildirs, *key)
            entry = files[key].get(Name.parse(act.intent.name).base)
            if entry is not None and _message_id(entry) == wanted:
                found.add(act.content)
    return tuple(found)


def _is_below(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def _files(maildirs: OpenMaildirs, maildir: str, folder: str) -> dict[str, Entry]:
    """Return the messages of a folder by base name. Empty if the folder cannot be read."""
    try:
        return {base_of(entry.name): entry for entry in maildirs.opened(maildir).folder_at(folder).messages()}
    except (OSError, UserError):
        return {}


def _message_id(entry: Entry) -> str:
    try:
        handle = entry.open()
        try:
            raw = os.read(handle, HEAD_BYTES)
        finally:
            os.close(handle)
        if is_compressed(raw):
            raw = message_file.read_message(entry, most=MOST_BYTES).content[:HEAD_BYTES]
    except (OSError, GoneError, UnreadableMessageError):
        return ""
    return message_id_of(raw)
