"""Labels by rspamd's HTTP: the password, and whose labels they are."""

import pytest
from http_wire import PASSWORD, asked, post
from listening import exchange, listening
from maildirs import make
from tiny_bundle import SPAM, UNSURE

from spamlstm.config import Config, HttpConfig, LabelScope, LearningConfig, MaildirConfig
from spamlstm.errors import ConfigError


def test_learning_needs_the_password(tmp_path, http, running, classifier, config):
    """Without the password, and without a password file, nothing is stored."""
    for line in ("X: y", "Password:", "Password: wrong", f"Password: {PASSWORD}x", "Password: \xe9"):
        assert asked(http, post("/learnspam", SPAM, line)) == (401, {"error": "Unauthorized"})
    assert not (running.state / "labels.sqlite").exists()
    off = Config(http=HttpConfig(f"unix:{tmp_path}/off.sock"))
    with listening(tmp_path / "off", classifier, off):
        answer = asked(f"{tmp_path}/off.sock", post("/learnham", SPAM, f"Password: {PASSWORD}"))
    assert answer == (403, {"error": "learning is not enabled, set [http] password_file"})


def test_learning(http):
    """A label is stored once, and a repetition is no error for rspamc, Sieve scripts and other clients."""
    request = post("/learnspam", UNSURE, f"password: {PASSWORD}")
    assert asked(http, request) == (200, {"success": True})
    known = "the message has been already learned as spam, ignore it"
    assert asked(http, request) == (208, {"success": True, "error": known})
    assert asked(http, post("/checkv2", UNSURE))[1]["action"] == "add header"
    assert asked(http, post("/learnham", UNSURE, f"Password: {PASSWORD}")) == (200, {"success": True})


@pytest.mark.parametrize("data", [b"\n \r\n", b"\x00\xff" * 500])
def test_data_that_are_no_mail_are_not_labelled(http, running, data):
    """Blank and binary data get an error, as from `spamlstm label`, and nothing is stored."""
    answer = asked(http, post("/learnspam", data, f"Password: {PASSWORD}"))
    assert answer == (422, {"error": "this is not mail and was not labelled"})
    assert not (running.state / "labels.sqlite").exists()


def test_labels_belong_to_their_user(tmp_path, classifier, file):
    """The address of delivery chooses the labels, else the only recipient, else the user."""
    for name in ("ann", "bob"):
        make(tmp_path / "vmail" / name)
    config = Config(
        maildirs=(MaildirConfig(f"{tmp_path}/vmail/*"),),
        learning=LearningConfig(labels=LabelScope.PER_MAILDIR, user_maildir=f"{tmp_path}/vmail/{{local}}"),
        http=HttpConfig(f"unix:{tmp_path}/s", password_file=str(file)),
    )
    ann = (
        ("Deliver-To: ann",),
        ("Deliver-To: <Ann@example.org>", "Rcpt: bob@example.org", "User: bob"),
        ("Rcpt: ann@example.org", "User: bob"),
        ("Rcpt: ann@example.org, <ANN@example.org>", "Rcpt: ann@example.org"),
        ("User: ann",),
    )
    nobody = (
        (),
        ("Rcpt: ann@example.org", "Rcpt: bob@example.org", "User: ann"),
        ("Rcpt: ann@example.org,bob@example.org",),
        ("Deliver-To: eve", "User: ann"),
        ("Deliver-To: ../vmail/ann",),
        ("Deliver-To: \xff",),
    )
    with listening(tmp_path / "state", classifier, config):

        def action(*lines):
            return asked(f"{tmp_path}/s", post("/checkv2", UNSURE, *lines))[1]["action"]

        learn = post("/learnspam", UNSURE, f"Password: {PASSWORD}", "Deliver-To: ann@example.org")
        assert asked(f"{tmp_path}/s", learn) == (200, {"success": True})
        assert [action(*lines) for lines in ann] == ["add header"] * len(ann)
        assert [action(*lines) for lines in (*nobody, ("User: bob",))] == ["no action"] * (len(nobody) + 1)
        for lines in nobody:
            answer = asked(f"{tmp_path}/s", post("/learnspam", UNSURE, f"Password: {PASSWORD}", *lines))
            assert answer == (422, {"error": "no Maildir of the configuration belongs to this user"})


def test_the_password_is_read_again(http, running, config, file):
    """After a reload the password in the file counts; if the file cannot be used, the listener stays as it was."""
    other = file.with_name("other")
    try:
        file.write_text("another\n")
        running.listeners.reconfigure(config)
        assert asked(http, post("/learnspam", SPAM, f"Password: {PASSWORD}"))[0] == 401
        assert asked(http, post("/learnspam", SPAM, "Password: another"))[0] == 200
        file.rename(other)
        with pytest.raises(ConfigError, match="cannot be read"):
            running.listeners.reconfigure(config)
        assert asked(http, post("/learnham", SPAM, "Password: another"))[0] == 200
    finally:
        if other.exists():
            other.rename(file)
        file.write_text(f"{PASSWORD}\n")


def test_no_log_names_mail_or_password(http, caplog):
    """Neither answers nor errors write text, addresses or passwords to the log."""
    mail = b"Message-ID: <secret@b.example>\nSubject: secret\n" + SPAM
    for path, password in (("/checkv2", ""), ("/learnspam", "secret"), ("/learnspam", PASSWORD), ("/secret", "")):
        exchange(http, post(path, mail, f"Password: {password}", "Rcpt: secret@b.example"))
    assert "secret" not in caplog.text
    assert PASSWORD not in caplog.text
