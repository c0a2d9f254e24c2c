"""Correspondents from sent mail: the recipients of the messages in a Sent folder.

A user who writes to somebody wants the answer. Only the headers To, Cc and Bcc are read, and only hashes of the names
are stored.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator

from spamlstm.features.sender_identity import correspondent, name_key
from spamlstm.maildir import message_file
from spamlstm.maildir.content_id import lasting
from spamlstm.maildir.entry import Entry, PassingOver
from spamlstm.maildir.folder_walk import folders
from spamlstm.maildir.folders import is_sent
from spamlstm.maildir.message_file import UnreadableMessageError
from spamlstm.maildir.names import GoneError
from spamlstm.maildir.opened import OpenFolder, OpenMaildir
from spamlstm.message.message import address, parse_message

# The newest messages of all Sent folders that are read, and the most bytes of one. Larger messages are skipped.
MOST_MESSAGES = 5000
MOST_BYTES = 1 << 20
# A message to more recipients is a mass mailing and does not show that the user knows the recipients.
MOST_RECIPIENTS = 20
_HEAD_BYTES = 64 << 10
_ADDRESS = re.compile(r"(?<![^\s<>\"(),:;@])[^\s<>\"(),:;@]++@[^\s<>\"(),:;@]+")
# Mail programs send messages with these words automatically, or when the user follows an unsubscribe link.
_NOT_WRITTEN = re.compile(r"unsubscribe|abmelden|désabonne", re.IGNORECASE)


def sent_folders(mailbox: OpenMaildir) -> Iterator[OpenFolder]:
    """Yield the Sent folders of a Maildir."""
    for folder in folders(mailbox):
        if is_sent(folder.name):
            yield mailbox.folder(folder.name)


def newest(opened: Iterable[OpenFolder], *, after: float = 0.0, most: int) -> list[tuple[float, Entry]]:
    """Return the newest messages in some folders, at most `most`, with the times of their files, the oldest first.

    Only messages with a time later than `after` are returned. Folders that cannot be read are skipped. Raises OSError
    if descriptors or memory are short (see `PassingOver`).
    """
    found = []
    for folder in opened:
        with PassingOver():
            for entry in folder.messages():
                with contextlib.suppress(FileNotFoundError):  # a mail program has just renamed the file
                    time = entry.status().st_mtime
                    if time > after:
                        found.append((time, entry))
    return sorted(found, key=lambda one: (one[0], one[1].name))[-most:]


def written_names(messages: Iterable[tuple[float, Entry]]) -> dict[bytes, float]:
    """Return the hashes of the names of all recipients of sent messages, each with the time of the latest message.

    Messages that cannot be read are skipped. Raises OSError if descriptors or memory are short (see `PassingOver`).
    """
    names: dict[bytes, float] = {}
    for time, entry in messages:
        with PassingOver(), contextlib.suppress(GoneError, UnreadableMessageError):
            raw = message_file.read_message(entry, most=MOST_BYTES)[0]
            names.update(dict.fromkeys(map(name_key, recipients(raw)), time))
    return names


def recipients(raw: bytes) -> set[str]:
    """Return the names of the correspondents to whom a message was sent, as in the identities of their answers."""
    message = parse_message(lasting(raw[:_HEAD_BYTES])[0])
    if message.first.get("auto-submitted", "no").lower() != "no" or _NOT_WRITTEN.search(message.subject):
        return set()
    values = (value for name, value in message.headers if name in ("to", "cc", "bcc"))
    found = {one.lower() for value in values for one in _ADDRESS.findall(value)} - {message.sender}
    if len(found) > MOST_RECIPIENTS:
        return set()
    return {name for one in found if not _NOT_WRITTEN.search(one) and (name := correspondent(address(one)))}
