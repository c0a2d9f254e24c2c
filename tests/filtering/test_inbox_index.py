"""The index of an inbox: what was added is not missing, and a name of another file is, for a time."""

import contextlib
import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from spamlstm.database import Explained
from spamlstm.filtering.inbox_index import DAY, INBOX_SCHEMA, REMEMBERED, InboxIndex
from spamlstm.filtering.journal_database import JournalDatabase


@contextlib.contextmanager
def opened_index():
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(INBOX_SCHEMA)
        yield InboxIndex(JournalDatabase(connection, Explained("memory", "")))


@given(
    st.lists(
        st.text(st.characters(exclude_characters="/\0:,", exclude_categories=["Cs"]), min_size=1, max_size=8),
        unique=True,
        max_size=8,
    )
)
def test_missing_is_the_difference(names):
    """Whatever names there are: those that were added are in the index, all others are missing."""
    with opened_index() as index:
        index.begin("/m", names[::2], since=0.0, now=1.0)
        index.add("/m", [(name, 5) for name in names[1::4]], now=1.0)
        missing = index.missing("/m", dict.fromkeys(names, 5), now=2.0)
    assert missing == set(names) - set(names[::2]) - set(names[1::4])


def test_a_name_that_is_used_again_is_new_for_a_time():
    """A name with another inode is missing for 90 days. Later, and without an inode, the name is sufficient."""
    with opened_index() as index:
        index.begin("/m", [], since=0.0, now=0.0)
        index.add("/m", [("used", 5), ("restored", 0)], now=1000.0)
        for now, missing in ((1001.0, {"used"}), (1000.0 + REMEMBERED, set())):
            assert index.missing("/m", {"used": 6, "restored": 6}, now=now) == missing
        assert index.missing("/m", {"used": 5}, now=1001.0) == set()


def test_only_names_that_are_gone_are_pruned():
    """Pruning deletes the names of files that are gone for a day, and is needed once a day."""
    with opened_index() as index:
        index.begin("/m", ["here", "gone"], since=0.0, now=0.0)
        index.add("/m", [("late", 7)], now=2 * DAY)
        assert index.needs_pruning("/m", now=2 * DAY)
        index.prune("/m", {"here"}, now=2 * DAY)
        assert index.missing("/m", dict.fromkeys(("here", "gone", "late"), 7), now=2 * DAY) == {"gone"}
        assert not index.needs_pruning("/m", now=2.5 * DAY)
        assert index.needs_pruning("/m", now=3 * DAY)
