"""`spamlstm adopt` of an IMAP account on a real Dovecot: the same evidence as of a Maildir, and nothing is changed."""

import json
import shutil
import time

import pytest
from clients import moved
from dovecot import running
from imap_account import SPECIAL, CuttingProxy, account_toml, served
from tiny_bundle import mail
from watching import until

from spamlstm.cli import translate
from spamlstm.config import Config, LearningConfig
from spamlstm.daemon.imap import account_mail

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]
OLD = time.time() - 40 * 86_400


def fill(session):
    """Store mail with evidence of each kind, mail without evidence, and sent mail."""
    for number in range(24):
        folder, flags = [("INBOX", r"\Seen"), ("Junk", ""), ("Archive", r"\Seen"), ("INBOX", r"\Seen \Answered")][
            number % 4
        ]
        append(session, folder, flags, mail(f"some words of letter {number}"), OLD + number)
    append(session, "INBOX", "", mail("unread"), OLD)
    append(session, "INBOX", r"\Seen", mail("new"), time.time())
    append(session, "INBOX", r"\Seen \Flagged", mail("starred"), time.time())
    append(session, "Junk", r"\Flagged", mail("starred junk"), OLD)
    append(session, "Archive", r"\Seen \Deleted", mail("deleted"), OLD)
    append(session, "Trash", r"\Seen", mail("trash"), OLD)
    append(session, "Archive", r"\Seen", mail("large" * 300_000), OLD)
    session.create("Sent")
    for name in ("one", "two"):
        sent = b"From: ann@x.org\r\nTo: a@%s.example\r\nSubject: hello\r\n\r\nHello\r\n" % name.encode()
        append(session, "Sent", r"\Seen", sent, OLD)


def append(session, folder, flags, raw, when):
    status, answer = session.append(folder, f"({flags})", f'"{_date(when)}"', raw)
    assert status == "OK", answer


def _date(when):
    return time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(when))


def contents(session):
    """Return flags and UIDs of all messages in all folders."""
    found = {}
    for folder in ("INBOX", "Junk", "Archive", "Trash", "Sent"):
        session.select(folder, readonly=True)
        found[folder] = session.uid("FETCH", "1:*", "(FLAGS)")[1]
    return found


@pytest.fixture
def command(tiny, tmp_path, capfd, monkeypatch):
    """Return a function that runs a command line with a configuration for a port; it returns the output as JSON."""
    monkeypatch.setenv("SPAMLSTM_MODEL", str(tiny))
    (tmp_path / "state").mkdir(mode=0o700)

    def run(port, *arguments, name="mine"):
        (tmp_path / "config.toml").write_text(account_toml(port, name=name))
        capfd.readouterr()
        options = ["--config", tmp_path / "config.toml", "--state", tmp_path / "state"]
        status = translate.run([str(one) for one in (*arguments, *options)])
        out, err = capfd.readouterr()
        return status, json.loads(out) if out.startswith("{") else out, err

    return run


def test_an_account_is_adopted(command, tmp_path):
    """The report is that of a Maildir with the same mail; nothing changes on the server; the adoption is undone."""
    with running(SPECIAL) as server:
        with server.session() as session:
            fill(session)
            before = contents(session)
        status, dry, err = command(server.port, "adopt", "mine", "--dry-run", "--json")
        assert (status, err) == (0, "")
        assert not (tmp_path / "state" / "labels.sqlite").exists()
        status, report, err = command(server.port, "adopt", "mine", "--json")
        assert (status, err) == (0, "")
        assert {**report, "dry_run": True} == dry
        assert report["evidence"] == {"answered": 6, "flagged": 1, "filed": 6, "kept": 6, "junk": 6}
        assert (report["messages"], report["new"], report["correspondents"]) == (30, 25, 2)
        found = report["not_learned_from"]
        assert (found["too large"], found["no evidence"]) == (1, 4)  # unread, new, starred junk, deleted
        assert sum(report["unlabelled"].values()) == 2
        assert command(server.port, "adopt", "mine", "--json")[1]["known"] == 25
        with server.session() as session:
            assert contents(session) == before
        # What a Maildir shows differs only by what was not asked from the server: the Trash and Sent folders.
        status, as_maildir, _ = command(server.port, "adopt", server.maildir, "--dry-run", "--json")
        assert (status, as_maildir["evidence"]["junk"], as_maildir["messages"]) == (0, 6, 33)
        assert command(server.port, "adopt", "mine", "--undo", "--json")[1] == {"removed": 25, "dry_run": False}
        assert server.complaints() == []


def test_connections_that_end_are_opened_again(command, monkeypatch):
    """A provider that ends connections does not stop an adoption; one that always ends them is a sentence."""
    monkeypatch.setattr(account_mail, "READ_TOGETHER", 3)
    with running(SPECIAL) as server, CuttingProxy(server.port) as proxy:
        with server.session() as session:
            fill(session)
        proxy.cut = lambda: proxy.cut_after(14)
        proxy.cut_after(14)
        status, report, err = command(proxy.port, "adopt", "mine", "--json")
        assert (status, err) == (0, "")
        assert (report["new"], report["correspondents"]) == (25, 2)
        assert sum(b"LOGIN" in one or b"AUTHENTICATE" in one for one in proxy.commands) > 2
        proxy.cut = lambda: proxy.cut_after(4)
        proxy.cut_after(4)
        status, _, err = command(proxy.port, "adopt", "mine", "--json")
        assert status == 69
        assert "the account mine cannot be used now" in err


def test_limits_leave_out_older_mail(command, monkeypatch):
    """At the limit of bytes, what was read is learned, and older mail is counted as not needed."""
    monkeypatch.setattr(account_mail, "MOST_READ_BYTES", 3000)
    monkeypatch.setattr(account_mail, "READ_TOGETHER", 2)
    with running(SPECIAL) as server:
        with server.session() as session:
            fill(session)
        status, report, err = command(server.port, "adopt", "mine", "--json")
        assert status == 0
        assert "the newest messages were read" in err
        assert 2 < report["new"] < 25
        assert report["not_learned_from"]["older than what is needed"] > 0


@pytest.mark.parametrize("dry_run", [False, True])
def test_mail_that_the_daemon_filed_is_no_evidence(command, tiny, tmp_path, dry_run):
    """Spam that was filed on the account is not learned again as if its user had put it there.

    Mail that was only classified, also in a dry run, is evidence if its user moved it to the junk folder.
    """
    config = Config(learning=LearningConfig(learn_from_moves=False))
    ours = [] if dry_run else [1]
    with running(SPECIAL) as server:
        with served(server, tmp_path / "state", tiny, config=config, dry_run=dry_run) as account:
            for number in range(3):
                server.deliver(number)
            until(lambda: sum(account.tally.judged.values()) == 3)
            until(lambda: account.places()["Junk"] == ours)
        with server.session() as session:
            fill(session)
            for number in {0, 1} - set(ours):
                moved(session, "INBOX", number, "Junk", "MOVE")
        report = command(server.port, "adopt", "mine", "--dry-run", "--json")[1]
        assert report["evidence"]["junk"] == 6 + 2 - len(ours)
        assert report["not_learned_from"].get("filed by this filter", 0) == len(ours)


def test_names_that_are_no_account(command, tmp_path, monkeypatch):
    """A wrong name lists the accounts; a name that is also a file is not guessed at."""
    status, _, err = command(1, "adopt", "other")
    assert (status, "the accounts are: mine" in err) == (66, True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    status, _, err = command(1, "adopt", "mine")
    assert (status, "write ./mine for the file" in err) == (64, True)
    status, _, err = command(1, "adopt", "./mine")
    assert (status, "is not a Maildir" in err) == (66, True)
    (tmp_path / "mine").rmdir()
    status, _, err = command(1, "adopt", "mine")  # nothing listens there
    assert (status, "connection refused" in err.lower()) == (69, True)
