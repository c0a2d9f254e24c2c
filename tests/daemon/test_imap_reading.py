"""The order in which messages of an IMAP account are read."""

from spamlstm.daemon.imap.account_state import AccountCopy
from spamlstm.daemon.imap.answers import RemoteFlag
from spamlstm.daemon.imap.reading import READ_BYTES, batches


def test_a_large_message_delays_no_other():
    """A message that may take minutes is read alone, after the others, which keep their order."""
    sizes = (900, READ_BYTES + 1, 50, 60 << 20, 70)
    copies = [AccountCopy(1, uid, RemoteFlag.NONE, size, date=2, since=3.0) for uid, size in enumerate(sizes)]
    assert [[one.uid for one in batch] for batch in batches(copies)] == [[0, 2, 4], [1], [3]]
