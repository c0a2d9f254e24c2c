"""`spamlstm label`, `forget` and `trec-jig`: which mail they label, and whose labels they change."""

import contextlib
import json
import mailbox
import os
import random
import sqlite3
import string
import zlib

import maildirs
import pytest
from former_state import LAST, make_former
from tiny_bundle import SPAM, UNSURE, mail

from spamlstm.config.locations import LABELS
from spamlstm.learning.label_rows import MOST_KEPT
from spamlstm.maildir.content_id import content_id


def verdict(spamlstm, path) -> list[str]:
    _, out, _ = spamlstm("classify", path)
    return out.split("\t")[:4]


def test_a_label_takes_effect_at_once(spamlstm, message):
    """A label changes the verdict at once; `forget` restores the verdict of the model."""
    before = verdict(spamlstm, message)
    assert before[0] == "unsure"
    assert spamlstm("label", "spam", message)[:2] == (0, "1 labelled spam\n")
    assert (verdict(spamlstm, message)[0], verdict(spamlstm, message)[3]) == ("spam", "labels")
    assert spamlstm("label", "spam", message)[:2] == (0, "0 labelled spam, 1 had that label already\n")
    assert spamlstm("label", "ham", message)[:2] == (0, "1 labelled ham, 1 label changed from spam to ham\n")
    assert verdict(spamlstm, message)[0] == "ham"
    assert spamlstm("forget", message)[:2] == (0, "1 label removed\n")
    assert verdict(spamlstm, message) == before
    assert spamlstm("forget", message)[:2] == (0, "0 labels removed, 1 had no label\n")


@pytest.mark.parametrize("name", ["<1@example.org>", "0123abcd", "0" * 31])
def test_advice_for_ids(spamlstm, name, message):
    """A Message-ID or an incomplete id is no path of a file; the error says what to name."""
    for command, advice in ((["label", "ham"], "the file of the message\n"), (["forget"], "all 32 digits of its id")):
        status, _, err = spamlstm(*command, name)
        assert (status, err.startswith(f"spamlstm: {name}: no such file or directory; name ")) == (66, True)
        assert advice in err
    assert ";" not in spamlstm("label", "ham", "missing.eml")[2]


def test_ctrl_c_says_what_is_stored(spamlstm, message, monkeypatch):
    """Labels are stored in batches, so an interrupted command says how many there are, and how to continue."""

    def add_labels(*_, **__):
        yield from (True, True, False)
        raise KeyboardInterrupt

    monkeypatch.setattr("spamlstm.learning.trainer.Trainer.add_labels", add_labels)
    status, out, err = spamlstm("label", "spam", message)
    assert (status, out) == (130, "")
    assert err.startswith("spamlstm: label: 2 labels stored; run the same command again to continue\n")


def test_forget_by_id(spamlstm, message, tmp_path, monkeypatch):
    """`forget` takes the id of a message that is no longer at hand. A file whose name looks like an id is a file."""
    before = verdict(spamlstm, message)
    identity = content_id(message.read_bytes())
    spamlstm("label", "spam", message)
    assert spamlstm("forget", identity, "0" * 32)[:2] == (0, "1 label removed, 1 had no label\n")
    assert verdict(spamlstm, message) == before
    assert spamlstm("forget", identity[:31])[0] == 66

    monkeypatch.chdir(tmp_path)
    (tmp_path / identity).write_bytes(SPAM)
    spamlstm("label", "spam", identity, message)
    assert spamlstm("forget", identity)[:2] == (0, "1 label removed\n")
    assert verdict(spamlstm, message)[0] == "spam"


def test_mail_without_words_is_judged_by_its_label(spamlstm, tmp_path):
    """A message without words is judged by its label."""
    path = tmp_path / "picture.eml"
    path.write_bytes(b"From: x@y.org\nSubject: \nContent-Type: image/png\n\niVBORw0KGgo\n")
    assert verdict(spamlstm, path)[0] == "unsure"
    spamlstm("label", "spam", path)
    assert verdict(spamlstm, path)[0] == "spam"


def test_explain_shows_the_contribution_of_the_labels(spamlstm, message):
    """The contribution of the labels comes first, in the unit of the score."""
    spamlstm("label", "spam", message)
    _, out, _ = spamlstm("classify", "--explain", "--json", message)
    row = json.loads(out)
    assert row["explain"][0]["kind"] == "labels"
    assert row["explain"][0]["contribution"] == pytest.approx(row["score"], abs=0.01)  # the score of the model is 0


def test_explain_names_the_label_of_a_near_duplicate(spamlstm, tmp_path):
    """A near-duplicate is named by content id and label, never by its text."""
    paths = [tmp_path / f"{name}.eml" for name in ("one", "other", "like")]
    texts = ["".join(random.Random(seed).choices(string.ascii_letters, k=1500)) for seed in (1, 2)]
    for path, text in zip(paths, (*texts, texts[0][:-20]), strict=True):
        path.write_text(f"From: x@y.org\nSubject: about it\n\n{text}\n")
    spamlstm("label", "spam", paths[0])
    spamlstm("label", "ham", paths[1])
    _, out, _ = spamlstm("classify", "--explain", "--json", paths[2])
    text = json.loads(out)["explain"][0]["text"]
    assert text.startswith(f"your labels, most of all {content_id(paths[0].read_bytes())} (spam, ")


def test_without_labels_no_state_is_made(spamlstm, message, tmp_path, monkeypatch):
    """Judging and listing write nothing."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "none"))
    spamlstm("classify", message)
    assert spamlstm("labels")[:2] == (0, "0 ham, 0 spam\n")
    assert not (tmp_path / "none").exists()


def test_bulk_import(spamlstm, tmp_path):
    """A Maildir, an mbox and a folder are labelled together; what cannot be read is reported."""
    maildir = mailbox.Maildir(tmp_path / "Maildir")
    maildir.add(mail("one"))
    box = mailbox.mbox(tmp_path / "box")
    for word in ("two", "three"):
        message = mailbox.mboxMessage(mail(word))
        message.set_from("x@y.org Sun Apr  8 13:09:29 2007")
        box.add(message)
    box.close()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "four.eml").write_bytes(mail("four"))
    status, out, err = spamlstm("label", "ham", tmp_path / "Maildir", tmp_path / "box", folder, tmp_path / "none")
    assert (status, out) == (66, "4 labelled ham\n")
    assert "none: no such file" in err
    assert spamlstm("labels")[1].splitlines()[0] == "4 ham, 0 spam"


def test_a_wrong_label_is_refused(spamlstm, message):
    """A wrong label is one sentence with the right words."""
    status, _, err = spamlstm("label", "junk", message)
    assert status == 64
    assert "'spam' or 'ham'" in err


def test_trec_jig(spamlstm, message, tmp_path, monkeypatch):
    """The four programs of the TREC jig share a state folder of their own."""
    monkeypatch.chdir(tmp_path)
    assert spamlstm("trec-jig", "classify", message)[0] == 66
    assert spamlstm("trec-jig", "initialize")[0] == 0
    assert spamlstm("trec-jig", "classify", message)[1].startswith("class=ham score=")
    assert spamlstm("trec-jig", "train", "spam", message)[0] == 0
    assert spamlstm("trec-jig", "classify", message)[1].startswith("class=spam score=")
    assert spamlstm("trec-jig", "finalize")[0] == 0
    assert spamlstm("trec-jig", "initialize")[0] == 0
    assert spamlstm("trec-jig", "classify", message)[1].startswith("class=ham score=")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "letter").write_text("dear")
    assert spamlstm("trec-jig", "initialize", "--state", tmp_path / "precious")[0] == 64
    assert spamlstm("labels")[1] == "0 ham, 0 spam\n"


def mailbox_of(folder, *names):
    """A Maildir with one message in the inbox and in each of these folders."""
    maildirs.make(folder)
    for name in ("", *names):
        maildirs.make(folder / name)
        (folder / name / "cur" / "1:2,S").write_bytes(mail(f"a letter in {name or 'inbox'}"))
    return folder


@pytest.mark.parametrize(
    ("label", "folders", "skipped"),
    [
        ("ham", (".Junk", ".Trash", ".Sent", ".Drafts", ".Lists", ".INBOX.Spam"), 5),
        ("ham", ("Spam", "Trash", "Sent Items", "Lists", "Lists/Work"), 3),
        ("ham", (".[Gmail].Spam", ".Papierkorb", ".Receipts", ".Junk.2020"), 4),
        ("spam", (".Junk", ".Trash", ".Sent"), 2),
    ],
)
def test_a_whole_maildir(spamlstm, tmp_path, label, folders, skipped):
    """Of a whole Maildir, junk (for ham), Trash, Sent, Drafts and ignored folders are skipped, and that is said."""
    config = tmp_path / "config.toml"
    config.write_text('[learning]\nignore_folders = ["Receipts"]\n')
    box = mailbox_of(tmp_path / "box", *folders)
    status, out, err = spamlstm("label", label, box, "--config", config)
    assert (status, out) == (0, f"{1 + len(folders) - skipped} labelled {label}\n")
    assert f"{box}: skipped " in err
    assert err.count(",") == skipped


def test_a_folder_of_its_own_path_is_labelled(spamlstm, tmp_path):
    """A folder that is named itself is labelled, whatever its name; `forget` and `classify` skip nothing."""
    box = mailbox_of(tmp_path / "box", ".Junk", ".Sent")
    assert spamlstm("label", "ham", box / ".Junk", box / ".Sent")[1:] == ("2 labelled ham\n", "")
    assert len(spamlstm("classify", box)[1].splitlines()) == 3
    assert spamlstm("forget", box)[1] == "2 labels removed, 1 had no label\n"


def test_a_backup_of_maildirs(spamlstm, tmp_path):
    """Folders of a Maildir are skipped too if a folder above the Maildir is named; ordinary folders are not."""
    mailbox_of(tmp_path / "all" / "ann", ".Junk", ".Lists")
    (tmp_path / "all" / "spam").mkdir()
    (tmp_path / "all" / "spam" / "1.eml").write_bytes(mail("an ordinary folder"))
    assert spamlstm("label", "ham", tmp_path / "all")[:2] == (0, "3 labelled ham\n")


def test_changed_labels_are_reported(spamlstm, message, tmp_path):
    """Labels that change to the opposite label are counted, each message once."""
    spamlstm("label", "ham", message)
    (tmp_path / "copy.eml").write_bytes(UNSURE)
    _, out, _ = spamlstm("label", "spam", message, tmp_path / "copy.eml")
    assert out == "1 labelled spam, 1 had that label already, 1 label changed from ham to spam\n"


def test_many_changes_need_consent(spamlstm, on_terminal, tmp_path, monkeypatch):
    """Above the limit, a terminal is asked and other input needs --yes; without consent no label changes."""
    monkeypatch.setattr("spamlstm.cli.label.MOST_CHANGED", 2)
    box = mailbox_of(tmp_path / "box", ".a", ".b")
    spamlstm("label", "ham", box)
    status, out, err = spamlstm("label", "spam", box)
    assert (status, out) == (64, "")
    assert "would change 3 labels from ham to spam; add --yes" in err
    assert spamlstm("labels")[1].startswith("3 ham, 0 spam\n")
    assert "3 labels changed from ham to spam" in spamlstm("label", "spam", box, "--yes")[1]
    assert spamlstm("label", "ham", box / "cur")[0] == 0  # one change is below the limit


def test_the_question_before_many_changes(spamlstm, on_terminal, tmp_path):
    """On a terminal, more than a hundred changes are made only after the answer yes."""
    for number in range(101):
        (tmp_path / f"{number}.eml").write_bytes(mail(f"letter {number}"))
    spamlstm("label", "ham", tmp_path)
    shown = on_terminal("label", "spam", tmp_path, answer=b"n\n")[1]
    assert "Change 101 labels from ham to spam? [y/N]" in shown
    assert spamlstm("labels")[1].startswith("101 ham, 0 spam\n")
    assert "101 labels changed" in on_terminal("label", "spam", tmp_path, answer=b"y\n")[1]


def test_a_state_folder_that_does_not_exist(spamlstm, message, tmp_path):
    """Of all commands, only `run` and `scan` create the folder that --state names, so a mistyped name has no effect."""
    maildirs.make(tmp_path / "box")
    missing = tmp_path / "missing"
    for command in (
        ("classify", message),
        ("forget", message),
        ("labels",),
        ("labels", "purge", "--yes"),
        ("labels", "export", tmp_path / "x.gz"),
        ("undo",),
        ("model", "use", "default"),
        ("model", "rollback"),
        ("label", "spam", message),
        ("labels", "import", message),
        ("adopt", tmp_path / "box"),
        ("adopt", "--undo", tmp_path / "box"),
        ("retrain",),
    ):
        status, _, err = spamlstm(*command, "--state", missing)
        assert (status, err.splitlines()[0].partition(";")[0]) == (
            66,
            f"spamlstm: the state folder {missing} does not exist",
        )
    assert not missing.exists()


def test_a_state_folder_that_is_a_file(spamlstm, message, tmp_path):
    """Commands that are given a file as the state folder say so, and do not advise to make a folder of that name."""
    file = tmp_path / "file"
    file.touch()
    for command in (("classify", message), ("labels",), ("undo",), ("label", "spam", message)):
        status, _, err = spamlstm(*command, "--state", file)
        assert (status, err) == (66, f"spamlstm: the state folder {file} is not a folder; check --state\n")
    status, _, err = spamlstm("status", "--state", file)
    assert (status, err) == (69, f"spamlstm: the state folder {file} is not a folder; check --state\n")


def test_forget_and_undo_create_no_state(spamlstm, message, state):
    """Without labels and without a journal there is nothing to remove, and no state folder is created."""
    assert spamlstm("forget", message)[:2] == (0, "0 labels removed, 1 had no label\n")
    assert spamlstm("undo")[0] == 0
    assert not state.exists()


def test_input_that_is_not_mail_gets_no_label(spamlstm, tmp_path):
    """Nothing and a picture are not mail (65), and a FIFO and a device are not read (66); none is labelled."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(range(256)) * 9)
    for path, expected in (("/dev/null", 65), (tmp_path / "photo.jpg", 65), (tmp_path / "fifo", 66), ("/dev/zero", 66)):
        status, out, err = spamlstm("label", "spam", path)
        assert (status, out) == (expected, "0 labelled spam\n")
        assert ("is not mail" if expected == 65 else "it is not a regular file") in err
    assert spamlstm("labels")[1] == "0 ham, 0 spam\n"


def test_quiet_commands_print_only_what_was_asked_for(spamlstm, message, tmp_path):
    """With -q nothing says what was done; lists and dry runs are still printed."""
    file = tmp_path / "labels.gz"
    for command in (
        ("label", "spam", message),
        ("labels", "export", file),
        ("forget", message),
        ("labels", "import", file),
        ("labels", "purge", "--yes"),
        ("config", "init", "--path", tmp_path / "config.toml"),
    ):
        assert spamlstm(*command, "-q") == (0, "", "")
    assert spamlstm("labels", "import", "--dry-run", file, "-q")[1] == "1 label would be imported\n"
    assert spamlstm("labels", "-q")[1] == "0 ham, 0 spam\n"
    assert spamlstm("classify", message, "-q")[1].startswith("unsure\t")


def test_a_label_of_an_earlier_version_that_changes(spamlstm, state, message):
    """A changed label is reported too if an earlier version stored it under another content id."""
    spamlstm("label", "spam", message)
    make_former(state, [message.read_bytes()], LAST)
    with contextlib.closing(sqlite3.connect(state / LABELS)) as store:
        # Of a message that is stored completely, the upgrade computes the content id anew.
        store.execute("UPDATE labels SET mail = ?", (zlib.compress(bytes(MOST_KEPT)),))
        store.commit()
    assert spamlstm("label", "ham", message)[:2] == (0, "1 labelled ham, 1 label changed from spam to ham\n")
    assert spamlstm("labels")[1].startswith("1 ham, 0 spam\n")
