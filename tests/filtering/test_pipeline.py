"""The actions on one message, and what is reported about it."""

# ruff: noqa: PTH104, PTH116, PTH118  as in maildir

import errno
import os
import stat
from pathlib import Path
from unittest.mock import Mock

import on_disk
import pytest
from inbox import DATE, WordJudge, raw, tagged
from maildirs import size_in

from spamlstm.config import Action, Config, MaildirConfig
from spamlstm.filtering.outcome import Status
from spamlstm.filtering.undo import UndoStatus
from spamlstm.maildir import keywords
from spamlstm.maildir.names import Name
from spamlstm.verdict import Verdict

TAG, FILE, KEYWORD = Action.TAG, Action.FILE, Action.KEYWORD


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


def test_the_defaults(inbox):
    """Spam is tagged and filed, unsure is tagged, ham is left untouched."""
    one = inbox()
    contents = [Path(one.deliver(body)).read_bytes() for body in ("spam", "unsure", "ham")]

    outcomes = one.run()

    assert [(outcome.status, outcome.actions) for outcome in outcomes] == [
        (Status.DONE, (TAG, FILE)),
        (Status.DONE, (TAG,)),
        (Status.LEFT, ()),
    ]
    assert one.contents(one.junk) == [tagged(contents[0])]
    assert one.contents() == sorted([tagged(contents[1], Verdict.UNSURE), contents[2]])
    assert one.run() == []


def test_a_filed_message(inbox):
    """The junk folder is made as mail servers make it; the sizes are true; date and mode are those of the message."""
    one = inbox()
    one.deliver(name="1.host,S=9,W=9,U=7")
    one.run()

    ((part, text),) = one.names(one.junk)
    name, path = Name.parse(text), os.path.join(one.junk, part, text)
    status = os.stat(path)
    assert (part, name.info, size_in(name)) == ("new", None, status.st_size)
    assert size_in(name, "W") == status.st_size + Path(path).read_bytes().count(b"\n")
    assert not any(field.startswith("U=") for field in name.fields)
    assert (status.st_mtime, stat.S_IMODE(status.st_mode)) == (DATE, 0o640)
    assert Path(one.junk, "maildirfolder").exists()


def test_what_a_reader_had_keeps_its_bytes(inbox):
    """In cur a message is filed by a rename, with its flags, and never tagged: readers remember its size."""
    one = inbox(catch_up="all")
    Path(one.root, "dovecot-keywords").write_text("0 work\n1 home\n")
    on_disk.create_folder(one.root, one.junk)
    Path(one.junk, "dovecot-keywords").write_text("3 home\n")
    source = one.deliver(part="cur", name="1.host,U=7:2,FSab")
    inode = os.stat(source).st_ino
    one.deliver("unsure", part="cur", name="2.host:2,")

    assert [(one.status, one.actions) for one in one.run()] == [(Status.DONE, (FILE,)), (Status.LEFT, ())]
    ((part, text),) = one.names(one.junk)
    assert (part, Name.parse(text).info) == ("cur", "2,FSd")
    assert os.stat(os.path.join(one.junk, part, text)).st_ino == inode


def test_keywords_that_cannot_be_read_for_want_of_descriptors(inbox, monkeypatch):
    """A message keeps its keywords: it is filed when the list of the keywords can be read again."""
    one = inbox(catch_up="all")
    on_disk.create_folder(one.root, one.junk)
    for folder in (one.root, one.junk):
        Path(folder, "dovecot-keywords").write_text("0 work\n")
    one.deliver(part="cur", name="1.host:2,Sa")
    with monkeypatch.context() as patched:
        error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        patched.setattr(keywords, "_keyword_list", Mock(side_effect=error))
        assert statuses(one.run()) == [Status.FAILED]
    one.clock.now += 1000
    assert statuses(one.run()) == [Status.DONE]
    ((_, text),) = one.names(one.junk)
    assert Name.parse(text).info == "2,Sa"


@pytest.mark.parametrize(
    ("actions", "where", "name", "done"),
    [
        ((KEYWORD,), "cur", "1.host:2,c", (KEYWORD,)),
        ((TAG, KEYWORD), "cur", None, (TAG, KEYWORD)),
    ],
)
def test_a_keyword(inbox, actions, where, name, done):
    """Only cur has flags, so the message goes there; a keyword alone keeps the base name."""
    one = inbox(spam=actions)
    Path(one.root, "dovecot-keywords").write_text("2 $Junk\n")
    one.deliver(name="1.host")

    assert one.run()[0].actions == done
    ((part, text),) = one.names()
    assert (part, Name.parse(text).keywords) == (where, "c")
    assert name in (None, text)
    assert one.run() == []


def test_no_keyword_without_a_letter(inbox):
    """Dovecot's list of keywords is never written to."""
    one = inbox(spam=(KEYWORD,))
    one.deliver()
    assert statuses(one.run()) == [Status.LEFT]
    assert not Path(one.root, "dovecot-keywords").exists()


def test_a_dry_run_only_says(inbox):
    """Nothing is moved or made, and a message is reported once."""
    one = inbox(dry_run=True)
    path = one.deliver()

    (outcome,) = one.run()

    assert (outcome.status, outcome.actions, outcome.folder) == (Status.DRY, (TAG, FILE), one.junk)
    assert Path(path).exists()
    assert not Path(one.junk).exists()
    assert one.run() == []
    assert one.counters.acted == {}


def test_a_scan_does_what_a_dry_run_reported(inbox):
    """If it is asked to, a scan returns mail that a dry run only reported, read or not, and returns it once.

    Ham, mail that was judged without a dry run, and mail that its user moved away are not returned.
    """
    one = inbox(dry_run=True).watch()
    for body in ("spam", "spam seen", "spam moved", "ham"):
        one.deliver(body)
    outcomes = one.run()
    assert [outcome.status for outcome in outcomes] == [*[Status.DRY] * 3, Status.LEFT]
    Path(one.root, "new", "2.host").rename(Path(one.root, "cur", "2.host:2,S"))
    Path(one.root, "new", "3.host").unlink()
    assert [outcome.candidate.base for outcome in one.run(with_dry_run=True)] == ["1.host", "2.host"]

    one.daemon["dry_run"] = False
    one.again()
    assert one.run() == []
    outcomes = one.run(with_dry_run=True)
    assert [(outcome.candidate.base, outcome.status) for outcome in outcomes] == [
        ("1.host", Status.DONE),
        ("2.host", Status.DONE),
    ]
    assert [name.partition(":")[0] for _, name in one.names()] == ["4.host"]
    assert one.run(with_dry_run=True) == []
    assert [result.status for result in one.undo()] == [UndoStatus.UNDONE] * 2
    assert one.run(with_dry_run=True) == []


@pytest.mark.parametrize("how", ["rename", "copy"])
def test_what_a_user_moves_back_stays(inbox, how):
    """Moved back by whatever means, and tagged, a message is known by its content."""
    one = inbox()
    one.deliver()
    one.run()
    ((part, text),) = one.names(one.junk)
    filed = os.path.join(one.junk, part, text)
    back = os.path.join(one.root, "cur", "77.imap:2,S")
    if how == "rename":
        os.rename(filed, back)
    else:
        Path(back).write_bytes(Path(filed).read_bytes().replace(b"\n", b"\r\n"))
        os.utime(back, (DATE, DATE))
        Path(filed).unlink()

    assert statuses(one.run()) == [Status.KNOWN]
    assert one.names() == [("cur", "77.imap:2,S")]
    assert one.run() == []


def test_the_same_content_twice_at_once(inbox):
    """Each delivery is judged, also if two servers deliver one message."""
    one = inbox()
    for name in ("a", "b"):
        one.deliver(name=name, content=raw("spam"))

    assert statuses(one.run()) == [Status.DONE, Status.DONE]
    assert one.run() == []
    assert (len(one.names()), len(one.names(one.junk))) == (0, 2)


def test_a_second_delivery(inbox):
    """A message that is delivered again later is judged as usual, while its first file lies where it was filed."""
    one = inbox()
    for name in ("a", "b"):
        one.deliver(name=name, content=raw("spam"))
        assert statuses(one.run()) == [Status.DONE]
    assert (len(one.names()), len(one.names(one.junk))) == (0, 2)


def test_spam_that_is_sent_again_after_it_was_deleted(inbox):
    """Without a tracker too: a day later, a second delivery is judged unless it has the date of the file we filed."""
    one = inbox()
    one.deliver(name="a", content=raw("spam"))
    one.run()
    ((part, name),) = one.names(one.junk)
    Path(one.junk, part, name).unlink()
    one.clock.now += 100_000
    path = one.deliver(name="b", content=raw("spam"))
    os.utime(path, (DATE + 100_000, DATE + 100_000))
    assert statuses(one.run()) == [Status.DONE]


def test_what_cannot_be_judged_stays(inbox):
    """A message that cannot be judged stays, and does not stop the next."""
    one = inbox()
    path = one.deliver("broken")
    one.deliver("spam")

    assert sorted(statuses(one.run())) == [Status.DONE, Status.FAILED]
    assert Path(path).exists()
    assert one.counters.failed == {"unreadable": 1}


def test_what_is_no_mail_stays(inbox):
    """A file that is no mail gets no headers, although it is unsure."""
    one = inbox()
    one.judge.classify_many = lambda mails, **how: (
        replace_reason(judged, "not-mail") for judged in WordJudge().classify_many(mails, **how)
    )
    one.deliver("unsure")
    assert statuses(one.run()) == [Status.LEFT]


def replace_reason(judged, reason):
    from dataclasses import replace

    return replace(judged, judgement=replace(judged.judgement, reason=reason))


def test_too_large_to_read(inbox, monkeypatch):
    """A file that would fill the memory is not read."""
    one = inbox()
    path = one.deliver()
    os.truncate(path, (64 << 20) + 1)

    assert [outcome.kind for outcome in one.run()] == ["too-large"]
    assert one.judge.asked == 0


def test_gone_before_it_was_read(inbox):
    """A message that a reader took to cur meanwhile is found there by the next scan, even if that asks for new only."""
    one = inbox()
    kept, removed = one.deliver("spam", name="a"), one.deliver("spam", name="b")
    candidates = one.pipeline.scan(one.root)
    os.rename(kept, os.path.join(one.root, "cur", "a:2,"))
    Path(removed).unlink()

    assert statuses(one.pipeline.process(candidates)) == [Status.GONE, Status.GONE]
    assert statuses(one.run(parts=("new",))) == [Status.DONE]


def test_stop(inbox):
    """`stop` is asked between batches; messages that were not reached come with the next scan."""
    one = inbox()
    for _ in range(150):
        one.deliver("ham")
    candidates = one.pipeline.scan(one.root)

    done = one.pipeline.process(candidates, stop=lambda: one.judge.asked >= 64)

    assert len(done) == 64
    assert len(one.pipeline.scan(one.root)) == 150 - 64


def test_each_outcome_when_it_has_come_about(inbox):
    """`follow` yields the first outcomes while the last messages are not judged yet."""
    one = inbox()
    for _ in range(150):
        one.deliver("ham")

    following = one.pipeline.follow(one.pipeline.scan(one.root))

    assert next(following).status is Status.LEFT
    assert one.judge.asked < 150
    assert len(list(following)) == 149


def test_another_configuration(inbox):
    """Another configuration counts from the next call of process."""
    one = inbox()
    config = Config(maildirs=(MaildirConfig(one.root, spam=()),))
    one.pipeline.reconfigure(config=config, classifier=one.judge)
    one.deliver()
    assert statuses(one.run()) == [Status.LEFT]


def test_a_maildir_that_is_not_configured_any_more(inbox):
    """After a reload without its section, mail of a Maildir is left where it is."""
    one = inbox()
    one.deliver()
    one.pipeline.reconfigure(config=Config(), classifier=one.judge)
    assert statuses(one.run()) == [Status.LEFT]
    assert one.names(one.junk) == []


@pytest.mark.model
def test_with_the_shipped_model(tmp_path, root):
    """With the shipped model, the test string that every filter calls spam is filed, and a short letter is not."""
    from inbox import Inbox
    from maildirs import make

    from spamlstm.model.classifier import Classifier
    from spamlstm.model.reading import GTUBE

    classifier = Classifier.open(root / "models/default")
    one = Inbox(make(tmp_path / "Maildir"), tmp_path / "state", judge=classifier).watch()
    one.deliver(GTUBE)
    one.deliver("Dear Bob, the minutes of our meeting of Thursday are attached. Kind regards, Ann")

    first, second = one.run()

    assert (first.judgement.reason, first.actions, first.judgement.model) == (
        "gtube",
        (TAG, FILE),
        classifier.bundle.label,
    )
    assert second.judgement.verdict is not Verdict.SPAM
    assert len(one.names(one.junk)) == 1
    assert one.run() == []
