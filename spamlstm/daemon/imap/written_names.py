"""The correspondents to whom the user of an account wrote, from the headers of sent messages."""

from collections.abc import Mapping, Sequence

from spamlstm.daemon.imap.answers import CommandRefusedError
from spamlstm.daemon.imap.connection import ImapConnection
from spamlstm.features.sender_identity import name_key
from spamlstm.learning.sent_mail import recipients

# Headers that are read together, 64 KiB each at most.
_HEADS_AT_ONCE = 50


def names_written(connection: ImapConnection, dates: Mapping[int, float]) -> dict[bytes, float]:
    """Return the hashes of the names of all recipients, each with the date of the latest message.

    `dates` has the dates of sent messages of the selected folder by UID. Messages that the server refuses are left out.
    Raises CommandRefusedError if the server refuses all messages of a group.
    """
    names: dict[bytes, float] = {}
    ordered = sorted(dates, key=lambda uid: (dates[uid], uid))
    for at in range(0, len(ordered), _HEADS_AT_ONCE):
        heads = _heads(connection, ordered[at : at + _HEADS_AT_ONCE])
        for uid in ordered[at : at + _HEADS_AT_ONCE]:
            names.update(dict.fromkeys(map(name_key, recipients(heads.get(uid, b""))), dates[uid]))
    return names


def _heads(connection: ImapConnection, uids: Sequence[int]) -> dict[int, bytes]:
    """Return the headers of messages by UID. Some servers refuse a command because of one damaged message."""
    try:
        return connection.heads(uids)
    except CommandRefusedError:
        found: dict[int, bytes] = {}
        refused = 0
        for uid in uids:
            try:
                found |= connection.heads([uid])
            except CommandRefusedError:
                refused += 1
        if refused == len(uids):
            raise
        return found
