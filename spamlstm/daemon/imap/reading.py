"""The reading of messages of an account in groups, also if the server refuses to send some of them."""

from collections.abc import Iterable, Sequence

from spamlstm.daemon.imap.account_state import AccountCopy
from spamlstm.daemon.imap.answers import CommandRefusedError
from spamlstm.daemon.imap.connection import ImapConnection

READ_AT_ONCE, READ_BYTES = 16, 4 << 20
"""The largest number of messages that are read by one command, and of their bytes."""
_MOST_DAMAGED = 3


def batches(copies: Iterable[AccountCopy]) -> list[list[AccountCopy]]:
    """Return the messages in groups that are read together. A large message, or one that failed before, is alone.

    Large messages are last, because one of 64 MB takes minutes on a slow line.
    """
    found: list[list[AccountCopy]] = []
    size = 0
    for one in sorted(copies, key=lambda one: one.size > READ_BYTES):
        size += one.size
        alone = one.attempts or (found and found[-1][-1].attempts)
        if not found or alone or len(found[-1]) == READ_AT_ONCE or size > READ_BYTES:
            found.append([])
            size = one.size
        found[-1].append(one)
    return found


def bodies_of(connection: ImapConnection, copies: Sequence[AccountCopy]) -> tuple[dict[int, bytes], set[int]]:
    """Return messages of the selected folder by UID, without those that are gone, and the UIDs of refused messages.

    Yahoo and others refuse the whole command because of one damaged message. Raises CommandRefusedError if the server
    refuses more than _MOST_DAMAGED messages and sends none: then it refuses to send anything now.
    """
    try:
        return connection.bodies({one.uid: one.size for one in copies}), set()
    except CommandRefusedError:
        if len(copies) == 1:
            return {}, {copies[0].uid}
        raws: dict[int, bytes] = {}
        refused: set[int] = set()
        for one in copies:
            found, missing = bodies_of(connection, [one])
            raws |= found
            refused |= missing
        if len(refused) == len(copies) > _MOST_DAMAGED:
            raise
        return raws, refused
