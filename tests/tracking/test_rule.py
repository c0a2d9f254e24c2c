"""The rule that infers a label from where the files of a message were and where they are now."""

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from spamlstm.learning.label import Label
from spamlstm.maildir.file_evidence import UNKNOWN_FILE, FileEvidence, FileMark
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.rule import (
    COPY_SECONDS,
    MOVE_SECONDS,
    FoundCopy,
    History,
    KnownCopy,
    infer_label,
    known_copy,
    status_of,
)
from spamlstm.tracking.state import CopyStatus, Departure, Pending

INBOX, JUNK, FILED = FolderRole.INBOX, FolderRole.JUNK, FolderRole.FILED
SPAM, HAM = (Label.SPAM, Pending.ALWAYS), (Label.HAM, Pending.ALWAYS)
HAM_IF_NONE, NOTHING = (Label.HAM, Pending.IF_NONE), (None, Pending.NOTHING)
FOLDERS = {INBOX: "", JUNK: ".Junk", FILED: ".Archive"}
THEN, NOW = 1000.0, 1060.0
TRACED = FileMark.TRACED
# A file with two Received headers.
FILE = FileEvidence(7, 3, 5 * 10**9, b"12342345", TRACED)


def was(role, base=1, **more):
    return KnownCopy((FOLDERS[role], base), role, THEN, **more)


def found(role, base=1, **more):
    return FoundCopy((FOLDERS[role], base), role, **more)


def label(before, now, *, time=NOW, **more):
    """Return the label that follows from copies before and now."""
    history = before if isinstance(before, History) else History(tuple(before))
    inferred = infer_label(history, now, time=time, **more)
    return inferred.label, inferred.pending


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([was(INBOX)], [found(JUNK)], SPAM),
        ([was(FILED)], [found(JUNK, is_read=True)], SPAM),
        ([], [found(JUNK)], SPAM),
        ([], [found(JUNK), found(INBOX, 2)], NOTHING),
        ([was(JUNK)], [found(JUNK, is_answered=True)], NOTHING),
        ([was(JUNK)], [found(JUNK, 2)], NOTHING),
        ([was(JUNK)], [found(INBOX, 2)], HAM),
        ([was(JUNK)], [found(FILED, 2)], HAM),
        ([was(JUNK)], [], NOTHING),
        ([was(INBOX)], [found(FILED, is_read=True)], HAM_IF_NONE),
        ([was(INBOX)], [found(FILED)], NOTHING),
        ([KnownCopy((".Archive", 1), INBOX, THEN)], [found(FILED, is_read=True)], HAM_IF_NONE),
        ([was(FILED)], [found(INBOX, is_read=True)], NOTHING),
        ([], [found(FILED, is_read=True, is_answered=True)], NOTHING),
        ([was(INBOX)], [found(INBOX, is_answered=True)], HAM_IF_NONE),
        ([was(FILED)], [found(FILED, is_answered=True)], HAM_IF_NONE),
        # copies
        ([was(INBOX)], [found(INBOX), found(JUNK, 2)], NOTHING),
        ([was(JUNK)], [found(JUNK), found(INBOX, 2)], NOTHING),
        ([was(INBOX)], [found(INBOX), found(FILED, 2, is_read=True, is_answered=True)], NOTHING),
        ([was(JUNK), was(FILED, 2)], [found(FILED, 2, is_read=True)], NOTHING),
        # which of several copies was moved
        ([was(JUNK), was(JUNK, 2)], [found(JUNK), found(INBOX, 2)], HAM),
        ([was(JUNK), was(INBOX, 2)], [found(JUNK, 3), found(INBOX, 4)], NOTHING),
        ([was(JUNK), was(INBOX, 2)], [found(INBOX, 2), found(INBOX, 3)], HAM),
        ([was(INBOX), was(FILED, 2)], [found(FILED, 2), found(JUNK, 3)], SPAM),
        ([was(JUNK)], [found(JUNK, 2), found(INBOX, 3)], NOTHING),
        # two steps
        ([was(INBOX), was(JUNK, 2, is_open=True)], [found(JUNK, 2)], SPAM),
        ([was(JUNK), was(INBOX, 2, is_open=True)], [found(INBOX, 2)], HAM),
        ([replace(was(JUNK), since=NOW), was(INBOX, 2, is_open=True)], [found(INBOX, 2)], NOTHING),
        # a message that no visit has found in its first folder
        ([was(JUNK, was_visited=False)], [found(INBOX, 2)], HAM),
        ([was(JUNK, was_visited=False)], [found(FILED, 2)], NOTHING),
        ([was(INBOX, was_visited=False)], [found(FILED, 2, is_read=True)], NOTHING),
        ([was(INBOX, was_visited=False)], [found(JUNK, 2)], SPAM),
    ],
)
def test_infer_label(before, now, expected):
    """Each row of the rule's table, and what copies change about it."""
    assert label(before, now) == expected
    assert label(reversed(before), reversed(now)) == expected


def test_a_mail_rule_that_uses_our_tags():
    """A message that we tagged as spam and that has no label gives no spam label."""
    assert label([was(INBOX)], [found(JUNK)], tagged=True) == NOTHING
    assert label([was(JUNK)], [found(INBOX)], tagged=True) == HAM


def test_two_steps_that_are_far_apart():
    """A copy whose original is removed long after gives no label."""
    opened = infer_label(History((was(JUNK),)), [found(JUNK), found(FILED, 2)], time=NOW).history
    assert label(opened, [found(FILED, 2)], time=NOW + COPY_SECONDS - 1) == HAM
    assert label(opened, [found(FILED, 2)], time=NOW + COPY_SECONDS) == NOTHING
    gone = infer_label(History((was(JUNK, evidence=FILE),)), [], time=NOW).history
    assert gone.departures == (Departure(JUNK, THEN, NOW, evidence=FILE),)
    assert label(gone, [found(INBOX, 2, evidence=FILE)], time=NOW + MOVE_SECONDS - 1) == HAM
    assert label(gone, [found(INBOX, 2, evidence=FILE)], time=NOW + MOVE_SECONDS) == NOTHING


@pytest.mark.parametrize(
    ("evidence", "at_once", "later"),
    [
        (FILE, HAM, HAM),  # a rename or a hard link, as from Trash
        (replace(FILE, inode=8), HAM, NOTHING),  # a copy with its date: a mail program, or a backup that is restored
        (replace(FILE, inode=8, mtime_ns=9 * 10**9), HAM, NOTHING),  # fetched again by a program that adds no header
        (replace(FILE, inode=8, mtime_ns=9 * 10**9, marks=TRACED | FileMark.SYNCHRONIZED), HAM, HAM),  # mbsync
        (replace(FILE, inode=8, mtime_ns=9 * 10**9, trace=b"new " + FILE.trace), NOTHING, NOTHING),  # delivered again
        (replace(FILE, inode=8, mtime_ns=9 * 10**9, trace=b"xyz."), NOTHING, NOTHING),
        (replace(FILE, inode=8, mtime_ns=9 * 10**9, trace=b"2345"), HAM, NOTHING),  # a server dropped a Received header
        (replace(FILE, inode=8, mtime_ns=9 * 10**9, trace=b""), HAM, NOTHING),
        (replace(FILE, inode=8, trace=b"new " + FILE.trace), HAM, NOTHING),  # the date was kept
        (UNKNOWN_FILE, HAM, NOTHING),
    ],
)
def test_evidence(evidence, at_once, later):
    """The evidence of a file tells a move from a second delivery; a copy that comes later needs proof of the move."""
    before = [was(JUNK, evidence=FILE)]
    now = [found(INBOX, 2, evidence=evidence)]
    assert label(before, now) == at_once
    gone = infer_label(History(tuple(before)), [], time=NOW).history
    assert label(gone, now, time=NOW + 1) == later
    half = infer_label(History(tuple(before)), [found(JUNK, evidence=FILE), *now], time=NOW).history
    assert label(half, now, time=NOW + 1) == at_once


def test_a_tagged_message_that_is_delivered_again():
    """A copy with all Received headers but without ours is no copy of a message that we tagged, unless by its date."""
    tagged = replace(FILE, marks=TRACED | FileMark.TAGGED)
    later = replace(FILE, inode=8, mtime_ns=9 * 10**9)
    assert label([was(JUNK, evidence=tagged)], [found(INBOX, 2, evidence=later)]) == NOTHING
    assert label([was(JUNK, evidence=tagged)], [found(INBOX, 2, evidence=FILE)]) == HAM
    # Programs that lose headers lose others too.
    for trace in (b"", FILE.trace[4:]):
        assert label([was(JUNK, evidence=tagged)], [found(INBOX, 2, evidence=replace(later, trace=trace))]) == HAM
    unread = replace(UNKNOWN_FILE, mtime_ns=FILE.mtime_ns, marks=FileMark.TAGGED)
    assert label([was(JUNK, evidence=unread)], [found(INBOX, 2, evidence=later)]) == NOTHING
    assert label([was(JUNK, evidence=tagged)], [found(INBOX, 2, evidence=replace(later, marks=tagged.marks))]) == HAM


def test_a_backup_that_is_seen_beside_the_original():
    """A file copy has the name of the original. If both were found, the removal of the original is no move."""
    opened = infer_label(History((was(JUNK),)), [found(JUNK), found(FILED, 1)], time=NOW).history
    assert label(opened, [found(FILED, 1)], time=NOW + 1) == NOTHING
    assert label([was(JUNK)], [found(FILED, 1)]) == HAM


def test_a_message_that_was_thrown_away():
    """If the copy that left went to Trash, a further copy in a folder gives no label, at this visit or a later one."""
    half = infer_label(History((was(JUNK, evidence=FILE),)), [found(JUNK), found(FILED, 2, evidence=FILE)], time=NOW)
    after = infer_label(half.history, [found(FILED, 2, evidence=FILE)], time=NOW + 1, is_discarded=True)
    assert after.label is None
    assert label(after.history, [found(FILED, 2, evidence=FILE)], time=NOW + 2) == NOTHING


roles = st.sampled_from([INBOX, JUNK, FILED])
copies = st.dictionaries(
    st.tuples(roles, st.integers(0, 3)), st.tuples(st.booleans(), st.sampled_from([0.0, THEN, NOW])), max_size=4
).map(
    lambda found: tuple(
        KnownCopy((FOLDERS[role], base), role, since, is_open) for (role, base), (is_open, since) in found.items()
    )
)
departures = st.lists(
    st.builds(Departure, roles, st.just(0.0), st.sampled_from([0.0, THEN, NOW]), st.booleans()), max_size=2
).map(tuple)
histories = st.builds(History, copies, departures)
states = st.sets(st.builds(found, roles, st.integers(0, 5), is_read=st.booleans()), max_size=4).map(
    lambda copies: list({copy.key: copy for copy in copies}.values())
)


@given(histories, states, st.booleans())
def test_a_second_comparison_infers_nothing(history, now, tagged):
    """If nothing has changed since a comparison, no label follows, and the history stays as it is."""
    once = infer_label(history, now, time=NOW, tagged=tagged).history
    twice = infer_label(once, now, time=NOW, tagged=tagged)
    assert (twice.history, twice.label) == (once, None)


@given(copies, states)
def test_copies_give_no_label(before, added):
    """If no copy has left its folder, no label follows, whatever copies there are."""
    before = before or (was(JUNK),)
    now = [FoundCopy(copy.key, copy.role) for copy in before]
    keys = {copy.key for copy in now}
    assert label(before, now + [copy for copy in added if copy.key not in keys]) == NOTHING


@given(copies, roles, roles, st.booleans())
def test_a_move_among_copies(others, source, target, is_read):
    """A move gives the same label whatever other copies there are, as long as these stay."""
    others = tuple(replace(copy, is_open=False, key=(copy.key[0], copy.key[1] + 10)) for copy in others)
    stay = [FoundCopy(copy.key, copy.role) for copy in others]
    moved = found(target, 2, is_read=is_read)
    assert label((was(source), *others), [*stay, moved]) == label([was(source)], [moved])


@given(copies, roles, roles, st.tuples(st.booleans(), st.booleans()), st.integers(0, 2))
def test_two_steps_are_a_move(others, source, target, how, visits):
    """A copy and a removal, in any order and with any visits between, give the label of a rename."""
    is_read, copy_first = how
    others = tuple(replace(copy, is_open=False, key=(copy.key[0], copy.key[1] + 10)) for copy in others)
    stay = [FoundCopy(copy.key, copy.role) for copy in others]
    original, copy = found(source, evidence=FILE), found(target, 2, is_read=is_read, evidence=FILE)
    between = [*stay, original, copy] if copy_first else stay
    history = History((was(source, evidence=FILE), *others))
    for number in range(visits):
        inferred = infer_label(history, between, time=NOW + number)
        assert inferred.label is None
        history = inferred.history
    after = infer_label(history, [*stay, copy], time=NOW + 10)
    assert (after.label, after.pending) == label([was(source)], [copy])


@given(copies, st.lists(states, max_size=3), states)
def test_a_message_in_one_role_never_changes_its_label(before, between, last):
    """Visits at any times infer spam only if a copy is in the junk folder, and ham only if one is outside it."""
    history = History(before)
    for number, now in enumerate([*between, last]):
        inferred = infer_label(history, now, time=NOW + number)
        found_roles = {copy.role for copy in now}
        if inferred.label is Label.SPAM:
            assert JUNK in found_roles
        if inferred.label is Label.HAM:
            assert found_roles - {JUNK}
        history = inferred.history


@pytest.mark.parametrize("status", [one for one in CopyStatus if one is not CopyStatus.ARRIVED])
def test_the_status_of_a_recorded_copy_is_kept(status):
    """A copy that is read from its record, and recorded again unchanged, has the same status."""
    assert status_of(known_copy(("", 1), FILED, status=status, since=THEN), FILED) is status
