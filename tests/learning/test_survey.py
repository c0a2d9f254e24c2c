"""A survey of a mailbox: positive evidence only, and never the filter's own verdicts."""

import os
from pathlib import Path

import on_disk
import pytest
from hypothesis import given
from hypothesis import strategies as st
from maildirs import make
from tiny_bundle import mail

from spamlstm.learning import survey as module
from spamlstm.learning.label import Label
from spamlstm.learning.mailbox_mail import FolderNames, MaildirMail
from spamlstm.learning.survey import (
    HAM_FOR_SPAM,
    KEPT_SECONDS,
    LEAST,
    SPAM_FOR_HAM,
    AdoptionEvidence,
    KnownLabels,
    UnusedReason,
    adoption_evidence,
    balance,
    survey_mailbox,
)
from spamlstm.maildir.content_id import content_id
from spamlstm.maildir.folders import FolderRole
from spamlstm.maildir.headers import tag
from spamlstm.verdict import Judgement, Verdict

NOW = 1_800_000_000.0
OLD = NOW - 2 * KEPT_SECONDS


def put(root: Path, folder: str, raw: bytes, *, flags: str = "S", when: float = OLD) -> Path:
    """Deliver into a folder, as read unless stated otherwise."""
    mailbox = make(root / folder)
    path = Path(mailbox, "cur") / f"{content_id(raw)[:12]}.{folder.strip('.') or 'in'}:2,{flags}"
    path.write_bytes(raw)
    os.utime(path, (when, when))
    return path


@pytest.fixture
def root(tmp_path):
    return Path(make(tmp_path / "Maildir"))


def look(root, **how):
    known = KnownLabels(how.pop("filed", ()), how.pop("labelled", {}), how.pop("adopted", {}))
    mail = MaildirMail(on_disk.opened(root).mailbox, how.pop("names", FolderNames()))
    return survey_mailbox(mail, known=known, now=NOW, **how)


@pytest.mark.parametrize(
    ("role", "flags", "age", "evidence"),
    [
        (FolderRole.INBOX, "", 2 * KEPT_SECONDS, None),
        (FolderRole.INBOX, "S", KEPT_SECONDS - 1, None),
        (FolderRole.INBOX, "S", KEPT_SECONDS, AdoptionEvidence.KEPT),
        (FolderRole.INBOX, "RS", 0, AdoptionEvidence.ANSWERED),
        (FolderRole.INBOX, "F", 0, AdoptionEvidence.FLAGGED),
        (FolderRole.INBOX, "ST", 2 * KEPT_SECONDS, None),
        (FolderRole.FILED, "S", 0, AdoptionEvidence.FILED),
        (FolderRole.FILED, "", 2 * KEPT_SECONDS, None),
        (FolderRole.FILED, "DS", 0, None),
        (FolderRole.JUNK, "", 0, AdoptionEvidence.JUNK),
        (FolderRole.JUNK, "S", 0, AdoptionEvidence.JUNK),
        (FolderRole.JUNK, "RS", 0, None),
        (FolderRole.JUNK, "FS", 0, None),
        (FolderRole.IGNORED, "FRS", 2 * KEPT_SECONDS, None),
    ],
)
def test_only_what_a_user_did_is_evidence(role, flags, age, evidence):
    """Mail that is unread, new, in the trash, sent, or filed by a rule and never read is no evidence."""
    assert adoption_evidence(role, flags, age=age) is evidence


def test_all_folders_are_surveyed(root):
    """Samples of all folders are in the order of delivery; trash and sent mail are no evidence, in any language."""
    kept, filed, junk = mail("kept"), mail("filed"), mail("junk")
    put(root, "", kept, when=OLD + 2)
    put(root, ".Lists.Work", filed, when=OLD)
    put(root, ".Junk", junk, when=OLD + 1)
    for folder in (".Trash", ".Sent", ".Entw&APw-rfe", ".INBOX.Papierkorb"):
        put(root, folder, mail(folder))
    found = look(root)
    assert [(one.evidence, one.content) for one in found.samples] == [
        (AdoptionEvidence.FILED, content_id(filed)),
        (AdoptionEvidence.JUNK, content_id(junk)),
        (AdoptionEvidence.KEPT, content_id(kept)),
    ]
    assert (found.messages, found.unused[UnusedReason.NO_EVIDENCE]) == (7, 4)
    assert [one.message.read() for one in found.samples] == [filed, junk, kept]


def test_the_configuration_names_folders(root):
    """The configured junk folder is used, and ignored folders have no evidence."""
    put(root, ".Quarant", mail("junk"))
    put(root, ".Receipts", mail("receipt"))
    put(root, ".Keep", mail("keep"))
    found = look(root, names=FolderNames("Quarant", ("Receipts",)))
    assert sorted(one.evidence for one in found.samples) == ["filed", "junk"]


def test_our_own_verdicts_are_no_evidence(root):
    """Mail that the journal lists as filed, and mail with our headers, is no evidence of spam."""
    ours, tagged, theirs = mail("ours"), mail("tagged"), mail("theirs")
    verdict = Judgement(Verdict.SPAM, 0.99, 5.0, "score", "tiny-1")
    put(root, ".Junk", tag(ours, verdict, version="1", spam_threshold=0.9))
    put(root, ".Junk", tag(tagged, verdict, version="1", spam_threshold=0.9))
    put(root, ".Junk", b"X-Spam-Flag: YES\nX-Spam-Checker-Version: SpamAssassin 4.0.0\n" + theirs)
    put(root, "", mail("friend"))
    found = look(root, filed={content_id(ours)})
    assert [one.content for one in found.samples if one.evidence is AdoptionEvidence.JUNK] == [content_id(theirs)]
    assert found.unused[UnusedReason.FILED_BY_US] == 2


def test_what_the_user_labelled_is_left_out(root):
    """Messages that the user labelled are in the store already."""
    put(root, ".Junk", mail("junk"))
    put(root, ".Junk", mail("labelled"))
    put(root, "", mail("friend"))
    found = look(root, labelled={content_id(mail("labelled")): Label.SPAM})
    assert len(found.samples) == 2
    assert found.unused[UnusedReason.LABELLED] == 1


def test_copies_count_once_and_contradictions_not_at_all(root):
    """A message in two folders counts once; one in the junk folder and in another is not used."""
    for folder in ("", ".Keep", ".Keep.Too"):
        put(root, folder, mail("copied"))
    for folder in (".Junk", ".Keep", ".Spam"):
        put(root, folder, mail("disputed"))
    put(root, ".Junk", mail("junk"))
    found = look(root)
    assert sorted(one.content for one in found.samples) == sorted(map(content_id, (mail("copied"), mail("junk"))))
    assert (found.unused[UnusedReason.COPY], found.unused[UnusedReason.DISPUTED]) == (2, 3)
    assert found.found == {Label.HAM: 1, Label.SPAM: 1}


def test_the_newest_are_used(root):
    """If there are too many messages, the newest of each kind are used, half of each."""
    for number in range(30):
        put(root, "" if number % 3 else ".Junk", mail(f"letter {number}"), when=OLD + number)
    found = look(root, most=10)
    used = {one.content for one in found.samples}
    newest = [number for number in range(30) if number % 3][-5:] + [number for number in range(30) if not number % 3][
        -5:
    ]
    assert used == {content_id(mail(f"letter {number}")) for number in newest}
    assert found.unused[UnusedReason.NOT_NEEDED] == 20


def test_there_is_room_for_the_user_s_labels(root, monkeypatch):
    """The user's own labels take up a part of the bound, and so do the bytes of large mail."""
    for number in range(20):
        put(root, ".Junk" if number % 2 else "", mail(f"letter {number} " + "x" * 1000), when=OLD + number)
    assert len(look(root, most=10, labelled=some_labels(ham=2, spam=2)).samples) == 6
    monkeypatch.setattr(module, "MOST_READ", 6 * 1150)
    assert len(look(root).samples) == 6


def some_labels(**numbers):
    """Return that many labels of the user, for mail that is nowhere."""
    return {f"{label}{number}": Label(label) for label in numbers for number in range(numbers[label])}


def test_the_user_s_labels_count_in_the_balance(root):
    """Ham is used if the user labelled spam, with the ratio of all labels, and the other way round."""
    for number in range(30):
        put(root, "", mail(f"letter {number}"), when=OLD + number)
    assert not look(root).samples
    assert not look(root, labelled=some_labels(ham=10, spam=1)).samples
    assert len(look(root, labelled=some_labels(spam=2)).samples) == 20
    assert len(look(root, labelled=some_labels(ham=5, spam=2)).samples) == 15
    put(root, ".Junk", mail("junk"))
    assert len(look(root, labelled=some_labels(spam=2)).samples) == 31
    # Half of each kind, of all labels.
    assert look(root, labelled=some_labels(ham=1, spam=4), most=12).counts() == {"kept": 6, "junk": 1}


@given(
    ham=st.integers(0, 50_000),
    spam=st.integers(0, 50_000),
    given_ham=st.integers(0, 20_000) | st.just(0),
    given_spam=st.integers(0, 20_000) | st.just(0),
    most=st.integers(2, 20_000),
)
def test_never_much_more_of_one_kind(ham, spam, given_ham, given_spam, most):
    """The balance keeps the bounds of number and ratio, of the user's labels too, and uses as many as these allow."""
    labels = {Label.HAM: given_ham, Label.SPAM: given_spam}
    n_ham, n_spam = balance(ham, spam, given=labels, most=most)
    all_ham, all_spam = n_ham + given_ham, n_spam + given_spam
    assert 0 <= n_ham <= ham
    assert 0 <= n_spam <= spam
    assert n_ham + n_spam <= max(most - given_ham - given_spam, LEAST)
    if n_ham and all_ham + all_spam <= most:
        assert all_ham <= HAM_FOR_SPAM * all_spam
    if n_spam and all_ham + all_spam <= most:
        assert all_spam <= SPAM_FOR_HAM * all_ham
    usable_ham = max(min(ham, HAM_FOR_SPAM * (spam + given_spam) - given_ham), 0)
    usable_spam = max(min(spam, SPAM_FOR_HAM * (usable_ham + given_ham) - given_spam), 0)
    if given_ham + given_spam <= most - LEAST:
        assert all_ham >= min(usable_ham + given_ham, most // 2, most - given_spam)
        assert all_spam >= min(usable_spam + given_spam, most // 2, most - given_ham)


def test_the_server_s_date_orders_what_was_copied_without_dates(root):
    """Mail that was fetched today, with today's date on all files, is ordered by the server's date."""
    for number, folder in enumerate((".Junk", "", ".Junk", "")):
        received = f"Received: by mx; Thu, 0{number + 1} Jan 2026 21:20:00 +0000\r\n".encode()
        put(root, folder, received + mail(f"letter {number}"), flags="FS" if not folder else "S", when=NOW)
    evidences = [one.evidence for one in look(root).samples]
    assert evidences == [
        AdoptionEvidence.JUNK,
        AdoptionEvidence.FLAGGED,
        AdoptionEvidence.JUNK,
        AdoptionEvidence.FLAGGED,
    ]


def test_fetched_today_is_not_new(root):
    """Mail that the server received two months ago counts as kept for a month, whatever the date of its file."""
    put(root, ".Junk", mail("junk"))
    for name, when in (("old", "Thu, 6 Nov 2026"), ("new", "Thu, 14 Jan 2027")):
        put(root, "", f"Received: by mx; {when} 21:20:00 +0000\r\n".encode() + mail(name), when=NOW)
    found = look(root)
    assert [one.evidence for one in found.samples] == [AdoptionEvidence.KEPT, AdoptionEvidence.JUNK]
    assert (found.unused[UnusedReason.NO_EVIDENCE], len(found.unlabelled)) == (1, 1)


def test_a_renamed_message_is_found(root):
    """A message is still read if its flags change between the survey and the reading."""
    put(root, ".Junk", mail("junk"))
    path = put(root, "", mail("friend"), flags="RS")
    (_, friend) = sorted(look(root).samples, key=lambda one: one.evidence is AdoptionEvidence.ANSWERED)
    path.rename(str(path) + "X")
    assert friend.message.read() == mail("friend")


def test_what_goes_or_cannot_be_read_stops_nothing(root):
    """A message that is removed meanwhile is left out, an unreadable one is reported, and the rest is used."""
    put(root, ".Junk", mail("junk"))
    put(root, "", mail("friend"))
    gone, link = put(root, "", mail("gone")), put(root, "", mail("link"))

    def meanwhile(number):
        if number == 1:
            gone.unlink()
            link.unlink()
            link.symlink_to("/etc/passwd")

    found = look(root, progress=meanwhile)
    assert len(found.samples) == 2
    assert found.unused[UnusedReason.GONE] == 1
    assert found.unreadable == [(str(link), f"{link.name} is not a regular file")]
