"""Messages that the records of an account know: by their content, or after the server changed their UIDs."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.daemon.imap.account_state import AccountCopy
from spamlstm.daemon.imap.answers import ListedMessage
from spamlstm.daemon.imap.connection import ImapConnection
from spamlstm.daemon.imap.records import NO_CONTENT, AccountRecords
from spamlstm.maildir.content_id import content_ids

_Message = TypeVar("_Message", AccountCopy, ListedMessage)


def recorded_content(records: AccountRecords, copy: AccountCopy, raw: bytes) -> str:
    """Return the content id under which the message `raw` is recorded, or its content id if it is not recorded.

    The last version of this program may have recorded the message under another id.
    """
    content, *former = content_ids(raw)
    known = (one for one in former if records.copies(one) or records.departures(one))
    judged = (one for one in former if records.was_judged(one, copy.date))
    return next(known, None) or next(judged, content)


def recognized(
    connection: ImapConnection, listed: Iterable[ListedMessage], recorded: Iterable[AccountCopy]
) -> tuple[list[AccountCopy], list[ListedMessage]]:
    """Return the records of known messages with their new UIDs, and the messages that are not known.

    A message of the selected folder is recognised by its size and the date at which the server received it. If several
    messages have the same size and date, they are read and recognised by their content.
    """
    known = _grouped(recorded)
    copies: list[AccountCopy] = []
    unknown: list[ListedMessage] = []
    for key, messages in _grouped(listed).items():
        pairs = _paired(connection, messages, known.get(key, []))
        copies += [replace(one, uid=uid) for uid, one in pairs.items()]
        unknown += [one for one in messages if one.uid not in pairs]
    return copies, unknown


def _grouped(messages: Iterable[_Message]) -> dict[tuple[int, int], list[_Message]]:
    """Return messages in the order of their UIDs, by size and date."""
    found: dict[tuple[int, int], list[_Message]] = defaultdict(list)
    for one in sorted(messages, key=lambda one: one.uid):
        found[one.size, one.date].append(one)
    return found


def _paired(
    connection: ImapConnection, messages: Sequence[ListedMessage], records: Sequence[AccountCopy]
) -> dict[int, AccountCopy]:
    """Return the records of messages of the same size and date by their new UIDs."""
    if len(messages) == len(records) == 1:
        return {messages[0].uid: records[0]}
    read = [one for one in records if one.content not in (None, NO_CONTENT)]
    pairs: dict[int, AccountCopy] = {}
    for message in messages:
        if not read or message.size > MOST_BYTES:
            break
        for raw in connection.bodies({message.uid: message.size}).values():
            contents = content_ids(raw)
            same = next((one for one in read if one.content in contents), None)
            if same is not None:
                read.remove(same)
                pairs[message.uid] = same
    # The content of other records is not known. Servers keep the order of messages.
    unread = [one for one in records if one.content in (None, NO_CONTENT)]
    rest = (one.uid for one in messages if one.uid not in pairs)
    return pairs | dict(zip(rest, unread, strict=False))
