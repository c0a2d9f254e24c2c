"""Faulty lists of folders, and folders that are gone: what is recorded of an account is not lost with them."""

import contextlib
from dataclasses import replace

import pytest

from spamlstm.config import Config, ImapConfig, TlsMode
from spamlstm.daemon.imap.account_folders import junk_target
from spamlstm.daemon.imap.account_session import AccountTally, DaemonSession
from spamlstm.daemon.imap.account_state import AccountAct, AccountCopy, BegunMove, HandledMessage
from spamlstm.daemon.imap.account_undo import AccountUndo
from spamlstm.daemon.imap.answers import CommandRefusedError, FolderNumbers, ListedFolder, RemoteFlag
from spamlstm.daemon.imap.filing import Filing
from spamlstm.daemon.imap.folder_visits import FolderVisits
from spamlstm.daemon.imap.move_recovery import MoveRecovery
from spamlstm.daemon.imap.records import AccountRecords
from spamlstm.daemon.listeners.judging import Judging
from spamlstm.filtering.backoff import Backoff
from spamlstm.filtering.undo import UndoStatus

ACCOUNT = ImapConfig("127.0.0.1", "ann", tls=TlsMode.NONE)
CONTENT = "00112233445566778899aabbccddeeff"
LISTED = [
    ListedFolder(name, "/", frozenset(flags)) for name, flags in (("INBOX", ()), ("Lists", ()), ("J", ["\\junk"]))
]


class Server:
    """A connection to a server that has the folders `names`, whatever it lists."""

    def __init__(self):
        self.names = {one.name for one in LISTED}
        self.asked = []

    def numbers(self, name):
        self.asked.append(name)
        if name not in self.names:
            raise CommandRefusedError("the server refused a command (NONEXISTENT)")
        return FolderNumbers(validity=7, next_uid=9)

    def select(self, name, *, readonly):
        return self.numbers(name)

    def create(self, name, *, use):
        self.names.add(name)

    def folders(self):
        return [one for one in LISTED if one.name in self.names] + [
            ListedFolder(name, "/", frozenset()) for name in self.names - {one.name for one in LISTED}
        ]

    def is_selected(self, name):
        return False

    def take_events(self):
        return set()

    def existing(self, first, last, *, unseen=False):
        return set()

    def check(self):
        """Report no change."""

    def details(self, uids):
        return {}


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def session(tmp_path, server):
    """A session with three visited folders, each with a message, and an act from the inbox to the junk folder."""
    records = AccountRecords.open(tmp_path / "state", ACCOUNT.key)
    with contextlib.closing(records):
        judging = Judging(classifier=None, config=None, label_stores=None)
        one = DaemonSession(ACCOUNT, Config(), server, records, AccountTally("h"), requests=judging)
        FolderVisits(one).find(LISTED)
        with records.change():
            for folder in records.folders():
                records.put_folder(replace(folder, validity=7, next_uid=9))
                records.put([AccountCopy(folder.id, 5, RemoteFlag.NONE, size=1, date=2, since=3.0, content=CONTENT)])
            ids = {folder.name: folder.id for folder in records.folders()}
            records.add_act(act(ids["INBOX"], ids["J"], now=1.0))
        yield one


def act(folder, target, *, now):
    return AccountAct(HandledMessage(folder, target, 7, 5, CONTENT, size=1, date=2), now)


def recorded(session):
    """Return what is known of each folder: its numbers, and the UIDs of its messages."""
    records = session.records
    return {one.name: (one.validity, one.next_uid, set(records.known(one.id))) for one in records.folders()}


@pytest.mark.parametrize("missing", [{"J"}, {"Lists"}, {"INBOX"}, {"INBOX", "Lists", "J"}])
def test_a_folder_that_is_not_listed_but_exists_keeps_its_records(session, missing, caplog):
    """A list without some folders, or an empty one, loses nothing: they are visited as before, and the log names them.

    Spam is still filed to the same folder.
    """
    before, acts = recorded(session), session.records.acts()
    visits = FolderVisits(session)
    for _ in range(2):
        found = visits.find([one for one in LISTED if one.name not in missing])
        assert {one.name for one in found} == {"INBOX", "Lists", "J"}
        assert found[-1].name == "INBOX"
        assert junk_target(visits.listed, ACCOUNT) == "J"
        assert (recorded(session), session.records.acts()) == (before, acts)
    assert caplog.text.count("folder-not-listed") == len(missing)
    visits.find(LISTED)
    assert (recorded(session), session.records.acts()) == (before, acts)


@pytest.mark.parametrize(("names", "missing"), [(("INBOX", "lists"), ["lists"]), (("inbox", "Lists"), [])])
def test_a_folder_of_the_setting_that_does_not_exist_is_named(session, caplog, names, missing):
    """If a name in the setting `folders` is misspelt, the log names it once, and the other folders are visited."""
    session.account = replace(ACCOUNT, folders=names)
    visits = FolderVisits(session)
    for _ in range(2):
        assert {one.name for one in visits.find(LISTED)} == {"INBOX", "Lists", "J"}
    assert [one.message.rpartition("folder=")[2] for one in caplog.records] == missing


def test_the_inbox_in_other_letters_is_no_further_folder(session, server):
    """A server that changes the letters of INBOX does not double it."""
    server.names.add("Inbox")
    found = FolderVisits(session).find([replace(LISTED[0], name="Inbox"), *LISTED[1:]])
    assert [one.name.upper() for one in found].count("INBOX") == 1


def test_a_renamed_folder_keeps_its_records_though_its_former_name_is_answered(session, server):
    """A server that still answers about the former name of a folder does not make two folders of it."""
    server.names.add("New")
    found = FolderVisits(session).find([LISTED[0], replace(LISTED[1], name="New"), LISTED[2]])
    assert {one.name for one in found} == {"INBOX", "New", "J"}
    assert recorded(session) == dict.fromkeys(("INBOX", "New", "J"), (7, 9, {5}))


def test_a_folder_that_is_gone_keeps_the_acts(session, server):
    """The messages of a removed folder are forgotten, but not what was done with them. Undo fails and names the folder.

    If the folder exists again, it counts as new and its mail as old. The records of other folders are not changed.
    """
    server.names.remove("J")
    visits = FolderVisits(session)
    visits.find(LISTED[:2])
    visits.find(LISTED[:2])
    assert recorded(session) == {"INBOX": (7, 9, {5}), "Lists": (7, 9, {5}), "J": (0, 0, set())}
    acts = session.records.acts()
    assert len(acts) == 1
    (result,) = AccountUndo(session, dry=False).undo(acts)
    assert (result.status, result.source) == (UndoStatus.FAILED, "J")
    assert "refused a command (NONEXISTENT)" in result.failure
    assert session.records.acts() == acts

    server.names.add("J")
    found = {one.name: one for one in visits.find(LISTED)}
    assert (found["J"].validity, found["J"].visited) == (0, 0.0)
    with session.records.change():
        session.records.prune(now=1e9)
    server.names.remove("J")
    visits.find(LISTED[:2])
    assert set(recorded(session)) == {"INBOX", "Lists"}


def test_spam_is_filed_although_the_junk_folder_was_removed(session, server):
    """If the user removes the junk folder while the daemon is connected, it is created again for the next spam."""
    visits = FolderVisits(session)
    filing = Filing(session, visits, later=Backoff(clock=session.clock))
    visits.find(LISTED)
    assert filing._target().name == "J"
    server.names.remove("J")
    visits.find(LISTED[:2])
    target = filing._target()
    assert (target.name, target.validity) == ("Junk", 7)


@pytest.mark.parametrize("gone", ["INBOX", "J"])
def test_a_move_from_or_to_a_removed_folder_does_not_stay_open(session, server, gone, caplog):
    """A move that was interrupted ends if its user has removed one of its folders. Mail that is there is classified."""
    ids = {one.name: one.id for one in session.records.folders()}
    move = BegunMove(HandledMessage(ids["INBOX"], ids["J"], 7, 5, CONTENT, size=1, date=2), 7, 9)
    with session.records.change():
        session.records.begin_moves([move])
    server.names.remove(gone)
    MoveRecovery(session).settle()
    assert len(session.records.moves()) == 1  # the server may only refuse the folder for now
    FolderVisits(session).find([one for one in LISTED if one.name in server.names])
    MoveRecovery(session).settle()
    assert session.records.moves() == []
    assert caplog.text.count("unsettled") == 1
    known = session.records.known(ids["INBOX"])
    assert set(known) == (set() if gone == "INBOX" else {5})


def test_a_folder_without_acts_is_forgotten(session, server):
    """Nothing remains of a removed folder in which nothing was done."""
    server.names.remove("Lists")
    FolderVisits(session).find([LISTED[0], LISTED[2]])
    assert set(recorded(session)) == {"INBOX", "J"}


def test_a_lost_folder_does_not_hinder_the_others(session, server):
    """Of acts in two folders, those in the folder that cannot be opened fail, and the others are compared."""
    ids = {one.name: one.id for one in session.records.folders()}
    with session.records.change():
        session.records.add_act(act(ids["INBOX"], ids["Lists"], now=2.0))
    server.names.remove("Lists")
    results = list(AccountUndo(session, dry=True).undo(session.records.acts()))
    assert {(one.source, one.status) for one in results} == {("Lists", UndoStatus.FAILED), ("J", UndoStatus.ELSEWHERE)}
