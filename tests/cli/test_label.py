"""Labels on the command line: they count at once, are shown, and can be taken back."""

import json
import mailbox
import random
import string

import pytest
from tiny_bundle import HAM, SPAM, UNSURE, mail

from spamlstm.cli import translate
from spamlstm.maildir.content_id import content_id


@pytest.fixture
def spamlstm(tiny, capfd, monkeypatch, tmp_path_factory):
    """Run a command line in this process, with a state folder of its own: gives (status, output, complaints)."""
    monkeypatch.setenv("SPAMLSTM_MODEL", str(tiny))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path_factory.mktemp("state") / "new"))

    def run(*arguments):
        status = translate.run([str(one) for one in arguments])
        return status, *capfd.readouterr()

    return run


@pytest.fixture
def message(tmp_path):
    path = tmp_path / "message.eml"
    path.write_bytes(UNSURE)
    return path


def verdict(spamlstm, path) -> list[str]:
    _, out, _ = spamlstm("classify", path)
    return out.split("\t")[:4]


def test_a_label_counts_at_once_and_can_be_taken_back(spamlstm, message):
    """From unsure to spam by one word, to ham by another, and back to what the base says by `forget`."""
    before = verdict(spamlstm, message)
    assert before[0] == "unsure"
    assert spamlstm("label", "spam", message)[:2] == (0, "1 labelled spam\n")
    assert (verdict(spamlstm, message)[0], verdict(spamlstm, message)[3]) == ("spam", "labels")
    assert spamlstm("label", "spam", message)[:2] == (0, "0 labelled spam, 1 were so already\n")
    assert spamlstm("label", "ham", message)[:2] == (0, "1 labelled ham\n")
    assert verdict(spamlstm, message)[0] == "ham"
    assert spamlstm("forget", message)[:2] == (0, "1 forgotten\n")
    assert verdict(spamlstm, message) == before
    assert spamlstm("forget", message)[:2] == (0, "0 forgotten, 1 had no label\n")


def test_mail_without_words_is_judged_by_its_label(spamlstm, tmp_path):
    """The network cannot read a picture; the user can."""
    path = tmp_path / "picture.eml"
    path.write_bytes(b"From: x@y.org\nSubject: \nContent-Type: image/png\n\niVBORw0KGgo\n")
    assert verdict(spamlstm, path)[0] == "unsure"
    spamlstm("label", "spam", path)
    assert verdict(spamlstm, path)[0] == "spam"


def test_explain_shows_the_part_of_the_labels(spamlstm, message):
    """It stands first, in the unit of the score."""
    spamlstm("label", "spam", message)
    _, out, _ = spamlstm("classify", "--explain", "--json", message)
    row = json.loads(out)
    assert row["explain"][0]["kind"] == "labels"
    assert row["explain"][0]["pull"] == pytest.approx(row["score"], abs=0.01)  # the base's score is 0


def test_explain_names_the_label_of_a_near_duplicate(spamlstm, tmp_path):
    """By its content id, and what was said: never by its text."""
    paths = [tmp_path / f"{name}.eml" for name in ("one", "other", "like")]
    texts = ["".join(random.Random(seed).choices(string.ascii_letters, k=1500)) for seed in (1, 2)]
    for path, text in zip(paths, (*texts, texts[0][:-20]), strict=True):
        path.write_text(f"From: x@y.org\nSubject: about it\n\n{text}\n")
    spamlstm("label", "spam", paths[0])
    spamlstm("label", "ham", paths[1])
    _, out, _ = spamlstm("classify", "--explain", "--json", paths[2])
    text = json.loads(out)["explain"][0]["text"]
    assert text.startswith(f"what you labelled, above all {content_id(paths[0].read_bytes())} (spam, ")


def test_without_labels_no_state_is_made(spamlstm, message, tmp_path, monkeypatch):
    """Judging writes nothing."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "none"))
    spamlstm("classify", message)
    assert spamlstm("labels")[:2] == (0, "0 ham, 0 spam\n")
    assert not (tmp_path / "none").exists()


def test_bulk_import(spamlstm, tmp_path):
    """A Maildir, an mbox and a folder at once; what cannot be read is told, and the rest is labelled."""
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


def test_labels_lists_what_was_said(spamlstm, tmp_path):
    """The last first: time, label, the base's score, content id, subject; as JSON all of it."""
    for name, raw in (("a", HAM), ("b", SPAM)):
        (tmp_path / name).write_bytes(raw)
    spamlstm("label", "ham", tmp_path / "a")
    spamlstm("label", "spam", tmp_path / "b")
    counts, first, second = spamlstm("labels")[1].splitlines()
    assert counts == "1 ham, 1 spam"
    assert [line.split("\t")[1:3] for line in (first, second)] == [["spam", "+12.00"], ["ham", "-12.00"]]
    rows = [json.loads(line) for line in spamlstm("labels", "--json")[1].splitlines()]
    assert list(rows[0]) == ["id", "label", "origin", "time", "subject", "base", "model"]
    assert rows[0]["subject"] == "a plain subject line"
    assert spamlstm("labels", "purge")[:2] == (0, "2 forgotten\n")
    assert spamlstm("labels")[1] == "0 ham, 0 spam\n"


def test_what_is_no_label(spamlstm, message):
    """One sentence that says what to say."""
    status, _, err = spamlstm("label", "junk", message)
    assert status == 64
    assert "label spam PATHS" in err


def test_jig(spamlstm, message, tmp_path, monkeypatch):
    """The four programs of the TREC toolkit, with a state of their own."""
    monkeypatch.chdir(tmp_path)
    assert spamlstm("jig", "classify", message)[0] == 66
    assert spamlstm("jig", "initialize")[0] == 0
    assert spamlstm("jig", "classify", message)[1].startswith("class=ham score=")
    assert spamlstm("jig", "train", "spam", message)[0] == 0
    assert spamlstm("jig", "classify", message)[1].startswith("class=spam score=")
    assert spamlstm("jig", "finalize")[0] == 0
    assert spamlstm("jig", "initialize")[0] == 0
    assert spamlstm("jig", "classify", message)[1].startswith("class=ham score=")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "letter").write_text("dear")
    assert spamlstm("jig", "initialize", "--state", tmp_path / "precious")[0] == 64
    assert spamlstm("labels")[1] == "0 ham, 0 spam\n"


def test_what_is_no_maildir_has_no_labels(spamlstm, message, tmp_path):
    """It is said, also where all share their labels and it would make no difference."""
    for command in (("labels",), ("label", "spam", message), ("classify", message)):
        status, _, err = spamlstm(*command, "--maildir", tmp_path)
        assert status == 66
        assert "is no Maildir" in err


def test_the_labels_of_one_maildir(spamlstm, message, tmp_path):
    """Where each has its own, whose they are must be said; then they are apart, and private."""
    config = tmp_path / "config.toml"
    config.write_text(f'[learning]\nlabels = "per-maildir"\n[[maildir]]\npath = "{tmp_path}/mail/*"\n')
    boxes = [tmp_path / "mail" / name for name in ("ann", "bob")]
    for box in boxes:
        for part in ("tmp", "new", "cur"):
            (box / part).mkdir(parents=True)
    status, _, err = spamlstm("label", "spam", message, "--config", config)
    assert status == 64
    assert "say --maildir DIR" in err
    of_ann, of_bob = (("--config", config, "--maildir", box) for box in boxes)
    assert spamlstm("label", "spam", message, *of_ann)[:2] == (0, "1 labelled spam\n")
    assert spamlstm("labels", *of_ann)[1].splitlines()[0] == "0 ham, 1 spam"
    assert spamlstm("labels", *of_bob)[1] == "0 ham, 0 spam\n"
    heard = [spamlstm("classify", message, *whose)[1].split("\t")[0] for whose in (of_ann, of_bob)]
    assert heard == ["spam", "unsure"]
    assert spamlstm("forget", message, *of_bob)[1] == "0 forgotten, 1 had no label\n"
    assert spamlstm("forget", message, *of_ann)[1] == "1 forgotten\n"
    assert spamlstm("labels", "purge", *of_ann)[1] == "0 forgotten\n"
    assert spamlstm("labels", "--config", config, "--maildir", tmp_path)[0] == 66
