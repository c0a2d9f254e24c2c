"""The records of an IMAP account, and the requests of its session to the loop."""

import contextlib
import sqlite3
from dataclasses import replace
from types import SimpleNamespace

from imap_server import account, folder

from spamlstm.config import Config
from spamlstm.daemon.imap import account_session
from spamlstm.daemon.imap.account_session import AccountSession, AccountTally, DaemonSession
from spamlstm.daemon.imap.account_state import AccountCopy, BegunMove, HandledMessage
from spamlstm.daemon.imap.account_tables import ACCOUNT_TABLES
from spamlstm.daemon.imap.answers import CommandRefusedError, FolderNumbers, ListedMessage, RemoteFlag
from spamlstm.daemon.imap.folder_visits import FolderVisits
from spamlstm.daemon.imap.recognition import recognized, recorded_content
from spamlstm.daemon.imap.records import AccountRecords
from spamlstm.daemon.listeners.judging import Judging, LabelRequestOfClient
from spamlstm.learning.label import Label
from spamlstm.maildir.content_id import content_id, content_ids
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.state import Departure


def test_two_new_folders_are_not_both_a_renamed_one(tmp_path):
    """Of two new folders with the UIDVALIDITY of a missing folder, neither gets its records, and both are visited."""
    records = AccountRecords.open(tmp_path / "state", "imap://x")

    def numbers(name):
        if name == "Old":
            raise CommandRefusedError("the server refused a command (NONEXISTENT)")
        return FolderNumbers(validity=1, next_uid=5)

    connection = SimpleNamespace(numbers=numbers)
    session = AccountSession(account(), Config(), connection, records, AccountTally("h"))
    visits = FolderVisits(session)
    visits.find([folder("INBOX"), folder("Old")])
    with records.change():
        for one in records.folders():
            records.put_folder(replace(one, validity=1, next_uid=3))
    found = visits.find([folder("INBOX"), folder("New"), folder("Other")])
    assert {one.name: one.validity for one in found} == {"INBOX": 1, "New": 0, "Other": 0}
    records.close()


def test_records_of_the_former_version_are_kept(tmp_path):
    """A database of the version without acts is upgraded: a begun move is still there, and undoes nothing.

    What was classified counts as filed, because it may have been, and the account has its name.
    """
    (tmp_path / "state").mkdir(mode=0o700)
    path = AccountRecords.path_of(tmp_path / "state", "imap://x")
    path.parent.mkdir(mode=0o700)
    with contextlib.closing(sqlite3.connect(path)) as former:
        former.executescript(ACCOUNT_TABLES.schema.removesuffix("".join(ACCOUNT_TABLES.upgrades.values())))
        former.execute("INSERT INTO moves VALUES (5, 1, 2, 3, x'00112233445566778899aabbccddeeff', 9, 8, 7, 6, 4)")
        former.execute("INSERT INTO judged VALUES (x'ffeeddccbbaa99887766554433221100', 8, 7.0)")
        former.execute("PRAGMA user_version = 1")
        former.commit()
    path.chmod(0o600)
    with contextlib.closing(AccountRecords.open(tmp_path / "state", "imap://x")) as records:
        content = "00112233445566778899aabbccddeeff"
        assert records.moves() == [BegunMove(HandledMessage(1, 7, 3, 2, content, 9, 8), 6, 4, id=5)]
        assert records.acts() == []
        assert records.filed() == {content, "ffeeddccbbaa99887766554433221100"}
        assert records.key == "imap://x"


def test_messages_have_the_ids_of_their_records(tmp_path):
    """A message that the last version recorded, or classified, keeps its former id; others have the present one."""
    raws = [b"Subject: [SPAM] mail %d\nMessage-ID: <%d@X.org>\n\nBody" % (number, number) for number in range(4)]
    former = [content_ids(raw)[1] for raw in raws]
    copy = AccountCopy(1, 7, RemoteFlag.NONE, 9, 8, 1.0)
    with contextlib.closing(AccountRecords.open(tmp_path / "state", "imap://x")) as records:
        with records.change():
            records.add_folder("Junk", FolderRole.JUNK)
            records.put([replace(copy, content=former[0])])
            records.put_departures(former[1], [Departure(FolderRole.JUNK, 1.0, 2.0)])
            records.add_judged(former[2], copy.date, is_junk=True, now=3.0)
        found = [recorded_content(records, copy, raw) for raw in raws]
        assert found == [*former[:3], content_id(raws[3])]
        assert recorded_content(records, replace(copy, date=6), raws[2]) == content_id(raws[2])


def test_only_messages_that_may_be_known_are_read_again():
    """If the UIDs changed, messages of the same size and date are read only until all records are recognised."""
    mails = {uid: b"Subject: mail %d\n\nBody" % uid for uid in range(1, 6)}
    size, read = len(mails[1]), []

    def bodies(sizes):
        read.extend(sizes)
        return {uid: mails[uid] for uid in sizes}

    listed = [ListedMessage(uid, RemoteFlag.NONE, size, date=7) for uid in mails]
    one = AccountCopy(3, 90, RemoteFlag.NONE, size, date=7, since=0.0, content=content_id(mails[2]))
    copies, unknown = recognized(SimpleNamespace(bodies=bodies), listed, [one])
    assert copies == [replace(one, uid=2)]
    assert [message.uid for message in unknown] == [1, 3, 4, 5]
    assert read == [1, 2]


def test_a_full_disk_at_the_start_does_not_look_like_damage(tmp_path):
    """If the key of the account cannot be written, the records are used without it. Damaged ones would be discarded."""
    AccountRecords.open(tmp_path / "state", "imap://x").close()
    with contextlib.closing(sqlite3.connect(AccountRecords.path_of(tmp_path / "state", "imap://x"))) as connection:
        connection.execute("DELETE FROM account")
        full = "CREATE TRIGGER full BEFORE INSERT ON account BEGIN SELECT RAISE(FAIL, 'full'); END"
        connection.execute(full)
        connection.commit()
    with contextlib.closing(AccountRecords.open(tmp_path / "state", "imap://x")) as records:
        with records.change(durable=True):
            records.add_folder("INBOX", FolderRole.INBOX)
        assert [one.name for one in records.folders()] == ["INBOX"]
        assert records.key.endswith(".sqlite")


def test_a_request_without_an_answer_is_withdrawn(monkeypatch):
    """If the daemon's loop does not answer in time, the message is tried again later, and is not classified twice."""
    monkeypatch.setattr(account_session, "ANSWER_SECONDS", 0.0)
    requests = Judging(classifier=None, config=None, label_stores=None)
    session = DaemonSession(account(), Config(), None, None, AccountTally("h"), requests=requests)
    assert session.judge([b"one", b"two"]) == [None, None]
    assert session.label(LabelRequestOfClient(b"three", label=Label.SPAM)) is None
    assert [one.answer.cancelled() for *_, one in requests._waiting] == [True, True, True]
    requests.work()
    assert not requests
