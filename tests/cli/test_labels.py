"""`spamlstm labels`, `labels purge`, `labels export` and `labels import`."""

import json

from tiny_bundle import HAM, SPAM, UNSURE, make

from spamlstm.config.locations import models_dir


def test_labels_lists_the_newest(spamlstm, tmp_path):
    """The newest come first: time, label, score of the model, content id, subject; as JSON all labels."""
    for name, raw in (("a", HAM), ("b", SPAM)):
        (tmp_path / name).write_bytes(raw)
    spamlstm("label", "ham", tmp_path / "a")
    spamlstm("label", "spam", tmp_path / "b")
    counts, first, second = spamlstm("labels")[1].splitlines()
    assert counts == "1 ham, 1 spam"
    assert [line.split("\t")[1:3] for line in (first, second)] == [["spam", "+12.00"], ["ham", "-12.00"]]
    rows = [json.loads(line) for line in spamlstm("labels", "--json")[1].splitlines()]
    assert list(rows[0]) == ["id", "label", "origin", "time", "subject", "model_score", "model"]
    assert rows[0]["subject"] == "a plain subject line"
    assert spamlstm("labels", "purge", "--yes")[:2] == (0, "2 labels removed\n")
    assert spamlstm("labels")[1] == "0 ham, 0 spam\n"


def test_purge_asks(spamlstm, on_terminal, message):
    """On a terminal `purge` asks, elsewhere it needs --yes; without consent no label is removed."""
    spamlstm("label", "spam", message)
    status, _, err = spamlstm("labels", "purge")
    assert (status, "add --yes" in err) == (64, True)
    assert "0 labels removed" in on_terminal("labels", "purge", answer=b"n\n")[1]
    assert spamlstm("labels")[1].startswith("0 ham, 1 spam\n")
    status, shown = on_terminal("labels", "purge", answer=b"y\n")
    assert (status, "1 label removed" in shown) == (0, True)


def test_purge_removes_what_a_killed_retraining_left(spamlstm, message):
    """The copies of mail in the work folder of a retraining that was killed go with the labels."""
    copy = models_dir() / ".retrain" / "work" / "mail" / "1.eml"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(message.read_bytes())
    spamlstm("label", "spam", message)
    assert spamlstm("labels", "purge", "--yes")[:2] == (0, "1 label removed\n")
    assert not copy.exists()
    spamlstm("labels", "purge", "--yes")


def test_labels_on_a_terminal(spamlstm, on_terminal, message):
    """On a terminal the labels are a table, with the beginning of each id. A column without any text is left out."""
    spamlstm("label", "spam", message)
    whole = spamlstm("labels")[1].splitlines()[1].split("\t")[3]
    _, shown = on_terminal("labels", "--color", "never")
    assert shown.splitlines()[1].split() == ["time", "label", "score", "id", "subject"]
    assert shown.splitlines()[2].split()[4] == whole[:12]
    message.write_bytes(b"From: ann@example.org\n\nno subject\n")
    spamlstm("labels", "purge", "--yes")
    spamlstm("label", "ham", message)
    assert on_terminal("labels", "--color", "never")[1].splitlines()[1].split() == ["time", "label", "score", "id"]


def test_options_before_purge_are_refused(spamlstm, tmp_path):
    """An option of `labels` before `purge` would be lost: it is an error."""
    assert spamlstm("labels", "--state", tmp_path, "purge", "--yes")[0] == 64


def test_purge_without_labels_asks_nothing(spamlstm, tmp_path):
    """Without labels there is nothing to confirm."""
    assert spamlstm("labels", "purge", "--state", tmp_path)[:2] == (0, "0 labels removed\n")


def test_labels_are_exported_and_imported(spamlstm, message, tmp_path):
    """The exported file is private and restores the labels; an earlier export is replaced, no other file is."""
    file = tmp_path / "labels.gz"
    assert spamlstm("labels", "export", file)[0] == 66
    assert spamlstm("labels", "export", "-")[0] == 64
    spamlstm("label", "spam", message)
    before = spamlstm("classify", message)[1], spamlstm("labels")[1]
    for _ in range(2):
        assert spamlstm("labels", "export", file)[:2] == (0, f"1 label exported to {file}\n")
    assert file.stat().st_mode & 0o777 == 0o600
    spamlstm("labels", "purge", "--yes")
    assert spamlstm("labels", "import", "--dry-run", file)[:2] == (0, "1 label would be imported\n")
    assert spamlstm("labels")[1] == "0 ham, 0 spam\n"
    assert spamlstm("labels", "import", file)[:2] == (0, "1 label imported\n")
    assert (spamlstm("classify", message)[1], spamlstm("labels")[1]) == before
    assert spamlstm("labels", "import", file)[:2] == (0, "0 labels imported, 1 known\n")
    for other, status in ((message, 64), (tmp_path, 64), ("/dev/null", 64), (tmp_path / "none" / "x", 74)):
        assert spamlstm("labels", "export", other)[0] == status
    assert message.read_bytes() == UNSURE


def test_a_file_that_is_no_export_creates_no_labels(spamlstm, message, tmp_path, state):
    """A missing file is 66, another file 65, and neither creates a label store, nor does a dry run."""
    assert spamlstm("labels", "import", tmp_path / "none")[0] == 66
    assert spamlstm("labels", "import", message)[0] == 65
    assert not state.exists()


def test_an_import_names_the_file_that_failed(spamlstm, message, tmp_path, state):
    """If the label store cannot be opened, the error names it and not the file that is imported."""
    spamlstm("label", "spam", message)
    spamlstm("labels", "export", tmp_path / "labels.gz")
    (state / "labels.sqlite").unlink()
    (state / "labels.sqlite").mkdir()
    status, _, err = spamlstm("labels", "import", tmp_path / "labels.gz")
    assert status == 78
    assert err == f"spamlstm: {state}/labels.sqlite is not a regular file; move it away to begin anew\n"


def test_an_import_that_cannot_be_finished_changes_nothing(spamlstm, message, tmp_path, monkeypatch):
    """Without a model to score the labels with, nothing is imported. A dry run needs no model."""
    spamlstm("label", "spam", message)
    spamlstm("labels", "export", tmp_path / "labels.gz")
    spamlstm("labels", "purge", "--yes")
    monkeypatch.setenv("SPAMLSTM_MODEL", str(tmp_path / "none"))
    assert spamlstm("labels", "import", tmp_path / "labels.gz")[0] == 66
    assert spamlstm("labels")[1] == "0 ham, 0 spam\n"
    assert spamlstm("labels", "import", "--dry-run", tmp_path / "labels.gz")[0] == 0


def test_imported_labels_are_scored_by_the_present_model(spamlstm, message, tmp_path, monkeypatch):
    """Labels from a time with another model are scored again by the present model."""
    spamlstm("label", "spam", message)
    spamlstm("labels", "export", tmp_path / "labels.gz")
    spamlstm("labels", "purge", "--yes")
    monkeypatch.setenv("SPAMLSTM_MODEL", str(make(tmp_path / "other", version="2")))
    spamlstm("labels", "import", tmp_path / "labels.gz")
    assert json.loads(spamlstm("labels", "--json")[1])["model"] == "tiny-2"
