"""The record: private, bounded, whole or not there, and refused when it is not ours."""

import sqlite3
import stat
from dataclasses import replace

import pytest
from house import judgement

from spamlstm.config import Action
from spamlstm.errors import DataError
from spamlstm.filtering import journal as journals
from spamlstm.filtering.inbox_index import DAY
from spamlstm.filtering.journal import NAME, Intent, Journal
from spamlstm.maildir.transfer import Identity, TransferResult
from spamlstm.verdict import Verdict

CONTENT = "0123456789abcdef" * 2
SPAM = judgement(Verdict.SPAM)


@pytest.fixture
def journal(tmp_path):
    one = Journal.open(tmp_path / "state")
    with one.group(durable=True):
        one.index.begin("/m", [], since=0.0, now=1.0)
    yield one
    one.close()


def intent(name="b", inode=1):
    return Intent("/m/new/\udcff", Identity(inode, 2, 3), "/m/.Junk", name, (Action.TAG, Action.FILE))


def noted(journal, *, content=CONTENT, now=10.0, **how):
    with journal.group(durable=True):
        number = journal.judged("/m", content, base="a", judgement=SPAM, stands=False, now=now)
        return journal.intend(number, intent(**how), now=now)


def end(journal, act, outcome):
    with journal.group(durable=False):
        journal.end(act, outcome)


def test_it_is_private(tmp_path, journal):
    """Who got mail when is nobody else's business, whatever the umask."""
    with journal.group(durable=True):
        journal.index.add("/m", [("x", 1)], now=1.0)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()} == {0o600}


@pytest.mark.parametrize("outcome", TransferResult)
def test_the_life_of_an_act(journal, outcome):
    """Open until its end is noted; only what was done makes the content known."""
    act = noted(journal)
    (found,) = journal.open_acts()
    assert (found.id, found.maildir, found.content, found.intent) == (act, "/m", CONTENT, intent())
    assert not journal.knows("/m", CONTENT)

    end(journal, act, outcome)

    assert journal.open_acts() == []
    assert journal.knows("/m", CONTENT) is (outcome is TransferResult.DONE)
    assert [one.id for one in journal.acts(since=10.0)] == ([act] if outcome is TransferResult.DONE else [])
    assert journal.acts(since=10.1) == []


def test_taken_back(journal):
    """An act that was undone is not undone again; one whose undoing failed can be."""
    act = noted(journal)
    end(journal, act, TransferResult.DONE)
    for outcome, left in ((TransferResult.UNDONE, [act]), (TransferResult.DONE, [])):
        with journal.group(durable=True):
            back = journal.intend(journal.acts(since=0)[0].judgement, intent(), now=11.0, undoes=act)
        end(journal, back, outcome)
        assert [one.id for one in journal.acts(since=0)] == left
    assert journal.knows("/m", CONTENT)


def test_inodes_of_64_bits(journal):
    """Some file systems use all of them, and SQLite's numbers have a sign."""
    inode = (1 << 64) - 5
    noted(journal, inode=inode)
    with journal.group(durable=True):
        journal.index.add("/m", [("x", inode)], now=1.0)
    assert journal.open_acts()[0].intent.expected.inode == inode
    assert journal.index.unseen("/m", {"x": inode}, now=1.0) == set()


def test_a_group_is_whole_or_nothing(journal):
    class StopError(Exception):
        pass

    def fails():
        with journal.group(durable=True):
            journal.index.add("/m", [("x", 1)], now=1.0)
            journal.index.begin("/other", ["y"], since=0.0, now=1.0)
            raise StopError

    with pytest.raises(StopError):
        fails()
    assert journal.index.unseen("/m", {"x": 1}, now=1.0) == {"x"}
    assert journal.index.number("/other") is None


def test_many_names(journal):
    """More than fit into one question."""
    names = dict.fromkeys(map(str, range(2000)), 0)
    with journal.group(durable=True):
        journal.index.add("/m", list(names.items())[:1500], now=1.0)
    assert journal.index.unseen("/m", names, now=1.0) == set(map(str, range(1500, 2000)))


def test_what_is_old_goes(journal, monkeypatch):
    """After 90 days with mail, or beyond a number; acts go with their judgement."""
    old = noted(journal)
    end(journal, old, TransferResult.DONE)
    for day in range(90):
        end(journal, noted(journal, content=f"{day:032}", now=(day + 1) * DAY), TransferResult.DONE)
    pruned(journal)
    assert not journal.knows("/m", CONTENT)
    assert len(journal.acts(since=0)) == 90
    monkeypatch.setattr(journals, "MOST_JUDGEMENTS", 2)
    pruned(journal)
    assert len(journal.acts(since=0)) == 2


@pytest.mark.parametrize("wrong", [4 * 365 * DAY, -4 * 365 * DAY])
def test_a_wrong_clock_makes_nothing_old(journal, wrong):
    """Judgements under a clock four years ahead or behind: neither they nor those before and after are forgotten."""
    today = 20_000 * DAY
    times = [today, today + wrong, today + wrong + 1, today + 2]
    for number, now in enumerate(times):
        end(journal, noted(journal, content=f"{number:032}", now=now), TransferResult.DONE)
        pruned(journal)
    assert all(journal.knows("/m", f"{number:032}") for number in range(len(times)))


def pruned(journal):
    with journal.group(durable=False):
        journal.prune()


def test_no_journal_of_ours(tmp_path):
    """Damaged, or of another version: a sentence, and the file is left as it is."""
    state = tmp_path / "state"
    state.mkdir()
    (state / NAME).write_bytes(b"This is no database, and is long enough to show that. " * 40)
    with pytest.raises(DataError, match="damaged"):
        Journal.open(state)
    (state / NAME).unlink()
    other = sqlite3.connect(state / NAME)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(DataError, match="another version"):
        Journal.open(state)


def test_a_copy_changes_nothing(journal, tmp_path):
    """A dry run knows all that is known, and its notes are thrown away; without a state folder it makes none."""
    act = noted(journal)
    copy = Journal.copy(tmp_path / "state")
    assert [one.id for one in copy.open_acts()] == [act]
    end(copy, act, TransferResult.DONE)
    copy.close()
    assert [one.id for one in journal.open_acts()] == [act]
    Journal.copy(tmp_path / "none").close()
    assert not (tmp_path / "none").exists()


def test_what_we_filed_is_known(journal):
    """Once it is done or begun, until it is taken back; what was only tagged is not filed."""
    other, third = "f" * 32, "e" * 32
    act = noted(journal)
    end(journal, act, TransferResult.DONE)
    noted(journal, content=other)
    end(journal, noted(journal, content=third), TransferResult.UNDONE)
    with journal.group(durable=True):
        number = journal.judged("/m", "d" * 32, base="a", judgement=SPAM, stands=False, now=1.0)
        journal.intend(number, replace(intent(), actions=(Action.TAG,)), now=1.0)
    assert journal.filed() == {CONTENT, other}
    with journal.group(durable=True):
        (done,) = journal.acts(since=0.0)
        back = journal.intend(done.judgement, intent("c"), now=11.0, undoes=act)
    end(journal, back, TransferResult.DONE)
    assert journal.filed() == {other}
