"""`--maildir`, and which labels apply if each Maildir has its own labels."""

import maildirs
from tiny_bundle import HAM


def test_maildir_must_be_a_maildir(spamlstm, message, tmp_path):
    """--maildir with another folder is an error, also if all Maildirs share their labels."""
    for command in (("labels",), ("label", "spam", message), ("classify", message)):
        status, _, err = spamlstm(*command, "--maildir", tmp_path)
        assert status == 66
        assert "is not a Maildir" in err


def test_maildir_with_shared_labels(spamlstm, message, tmp_path):
    """If all Maildirs share their labels, --maildir is an error that says what to do."""
    status, _, err = spamlstm("label", "spam", message, "--maildir", maildirs.make(tmp_path / "box"))
    remedy = 'leave it out, or set labels = "per-maildir"'
    assert (status, err) == (
        64,
        f"spamlstm: --maildir has no effect, as all Maildirs share their labels; {remedy}\n",
    )


def test_the_labels_of_one_maildir(spamlstm, message, tmp_path):
    """If each Maildir has its own labels, --maildir is needed, and the labels are separate."""
    config = tmp_path / "config.toml"
    config.write_text(f'[learning]\nlabels = "per-maildir"\n[[maildir]]\npath = "{tmp_path}/mail/*"\n')
    boxes = [tmp_path / "mail" / name for name in ("ann", "bob")]
    for box in boxes:
        maildirs.make(box)
    status, _, err = spamlstm("label", "spam", message, "--config", config)
    assert status == 64
    assert "add --maildir DIR" in err
    of_ann, of_bob = (("--config", config, "--maildir", box) for box in boxes)
    assert spamlstm("label", "spam", message, *of_ann)[:2] == (0, "1 labelled spam\n")
    assert spamlstm("labels", *of_ann)[1].splitlines()[0] == "0 ham, 1 spam"
    assert spamlstm("labels", *of_bob)[1] == "0 ham, 0 spam\n"
    verdicts = [spamlstm("classify", message, *options)[1].split("\t")[0] for options in (of_ann, of_bob)]
    assert verdicts == ["spam", "unsure"]
    assert spamlstm("forget", message, *of_bob)[1] == "0 labels removed, 1 had no label\n"
    assert spamlstm("forget", message, *of_ann)[1] == "1 label removed\n"
    assert spamlstm("labels", "purge", "--yes", *of_ann)[1] == "0 labels removed\n"
    assert spamlstm("labels", "--config", config, "--maildir", tmp_path)[0] == 66


def test_shared_labels_do_not_apply_with_labels_of_each_maildir(spamlstm, message, tmp_path):
    """`classify` uses no labels without --maildir, even if there are labels from the time of shared labels."""
    before = spamlstm("classify", message)[1].split("\t")[:4]
    spamlstm("label", "spam", message)
    config = tmp_path / "config.toml"
    config.write_text('[learning]\nlabels = "per-maildir"\n')
    assert spamlstm("classify", "--config", config, message)[1].split("\t")[:4] == before
    assert "\tlabels\t" not in spamlstm("classify", "--explain", "--config", config, message)[1]


def test_a_maildir_outside_the_configuration(spamlstm, message, tmp_path):
    """Labels for a Maildir that no section has would have no effect: an error, unless it already has labels."""
    config = tmp_path / "config.toml"
    config.write_text('[learning]\nlabels = "per-maildir"\n')
    box = maildirs.make(tmp_path / "other")
    spamlstm("label", "spam", message, "--maildir", box, "--config", config)  # without sections, `run` names Maildirs
    config.write_text(f'[learning]\nlabels = "per-maildir"\n[[maildir]]\npath = "{tmp_path}/mail/*"\n')
    assert spamlstm("labels", "--maildir", box, "--config", config)[1].startswith("0 ham, 1 spam")
    status, _, err = spamlstm(
        "label", "spam", message, "--maildir", maildirs.make(tmp_path / "third"), "--config", config
    )
    assert (status, "is not a Maildir of the configuration" in err) == (64, True)


def test_the_labels_of_a_renamed_maildir(spamlstm, message, tmp_path):
    """The labels of a path at which there is no Maildir any more can be listed, moved to the new path, and purged."""
    config = tmp_path / "config.toml"
    config.write_text(f'[learning]\nlabels = "per-maildir"\n[[maildir]]\npath = "{tmp_path}/mail/*"\n')
    before, after = (tmp_path / "mail" / name for name in ("ann", "anne"))
    maildirs.make(before)
    of_before, of_after = (("--config", config, "--maildir", box) for box in (before, after))
    assert spamlstm("label", "spam", message, *of_before)[0] == 0
    before.rename(after)
    assert spamlstm("labels", *of_after)[1] == "0 ham, 0 spam\n"
    assert spamlstm("labels", *of_before)[1].startswith("0 ham, 1 spam")
    assert spamlstm("labels", "export", tmp_path / "labels.gz", *of_before)[0] == 0
    assert spamlstm("labels", "import", tmp_path / "labels.gz", *of_after)[1] == "1 label imported\n"
    assert spamlstm("labels", "purge", "--yes", *of_before)[1] == "1 label removed\n"
    assert spamlstm("labels", *of_after)[1].startswith("0 ham, 1 spam")
    assert spamlstm("labels", "--config", config, "--maildir", tmp_path / "mail" / "bob")[0] == 66


def test_a_link_to_a_maildir_has_its_labels(spamlstm, message, tmp_path):
    """A Maildir has the same labels by its own path and by the path of a link."""
    config = tmp_path / "config.toml"
    config.write_text('[learning]\nlabels = "per-maildir"\n')
    box, link = maildirs.make(tmp_path / "ann"), tmp_path / "link"
    link.symlink_to(box)
    of_box, of_link = (("--config", config, "--maildir", path) for path in (box, link))
    (tmp_path / "ham.eml").write_bytes(HAM)
    assert spamlstm("label", "spam", message, *of_link)[0] == 0
    assert spamlstm("label", "ham", tmp_path / "ham.eml", *of_box)[0] == 0
    for options in (of_link, of_box):
        assert spamlstm("labels", *options)[1].startswith("1 ham, 1 spam")
    assert spamlstm("classify", message, *of_box)[1].startswith("spam")


def test_labels_of_an_account_are_named_by_the_account(spamlstm, message, tmp_path):
    """With labels of each mailbox, those of an IMAP account are listed, changed and purged by its name."""
    config = tmp_path / "config.toml"
    account = '[[imap]]\nhost = "imap.example.org"\nuser = "ann"\npassword_command = "true"\n'
    config.write_text(f'[learning]\nlabels = "per-maildir"\n{account}')
    of_account = ("--maildir", "imap.example.org", "--config", config)
    assert spamlstm("label", "spam", message, *of_account)[0] == 0
    assert spamlstm("labels", *of_account)[1].startswith("0 ham, 1 spam")
    assert spamlstm("labels", "--maildir", "imap.example.com", "--config", config)[0] == 66
    assert spamlstm("labels", "purge", "--yes", *of_account)[1] == "1 label removed\n"


def test_classify_says_that_it_uses_no_labels(spamlstm, on_terminal, message, tmp_path):
    """If each Maildir has its own labels and none is named, -v or a terminal gets a note, a pipe does not."""
    config = tmp_path / "per-maildir.toml"
    config.write_text('[learning]\nlabels = "per-maildir"\n')
    arguments = ("classify", message, "--config", config)
    assert spamlstm(*arguments)[2] == ""
    assert "add --maildir DIR" in spamlstm(*arguments, "-v")[2]
    assert "add --maildir DIR" in on_terminal(*arguments)[1]
    assert "add --maildir DIR" not in on_terminal(*arguments, "--quiet")[1]
