"""`spamlstm adopt`: its reports, what it stores, and its exit status."""

import io
import json
import os
import time

import maildirs
import pytest
from rich.console import Console
from tiny_bundle import mail

from spamlstm.cli import adopt as command
from spamlstm.config.locations import LABELS, personal_dir

MONTH_AGO = time.time() - 40 * 86_400


@pytest.fixture
def maildir(tmp_path):
    root = tmp_path / "Maildir"
    maildirs.make(root)
    return root


def put(root, folder, number, flags="S"):
    path = root / folder
    maildirs.make(path)
    path = path / "cur" / f"{number}.host:2,{flags}"
    path.write_bytes(mail(f"some words of letter {number}", sender="crook@evil.org" if folder else "ann@x.org"))
    os.utime(path, (MONTH_AGO + number, MONTH_AGO + number))
    return path


@pytest.fixture
def used(maildir):
    """A mailbox with six messages kept, three answered and nine in the junk folder."""
    for number in range(18):
        put(maildir, ".Junk" if number % 2 else "", number, flags="RS" if number % 6 == 0 else "S")
    return maildir


def lines(out) -> dict[tuple[str, str], str]:
    return {(row[0], row[1]): row[2] for row in (line.split("\t") for line in out.splitlines())}


def test_a_mailbox_is_adopted(spamlstm, used):
    """Not on a terminal: lines with evidence, rehearsal and thresholds. The labels take effect at once."""
    path = used / "cur" / "2.host:2,S"
    assert spamlstm("classify", path)[1].startswith("unsure")
    status, out, err = spamlstm("adopt", used)
    assert (status, err) == (0, "")
    rows = lines(out)
    assert {kind: rows["evidence", kind] for kind in ("answered", "kept", "junk")} == {
        "answered": "3",
        "kept": "6",
        "junk": "9",
    }
    assert rows["labels", "new"] == "18"
    assert sum(int(rows["rehearsal_ham", verdict]) for verdict in ("ham", "unsure", "spam")) == 9
    assert rows["false_positive_rate", "ham"] == "8"  # the first is like no earlier mail
    for name in ("ham_before", "ham_after", "spam_before", "spam_after"):
        assert sum(int(rows[f"reference_{name}", verdict]) for verdict in ("ham", "unsure", "spam")) == 40
    assert float(rows["threshold", "spam"]) == pytest.approx(0.98)  # so little ham does not lower the model's
    assert spamlstm("classify", path)[1].startswith("ham")
    assert spamlstm("labels")[1].splitlines()[0] == "9 ham, 9 spam"
    assert lines(spamlstm("adopt", used)[1])["labels", "known"] == "18"


def test_unlabelled_mail_is_judged_and_not_learned(spamlstm, used):
    """Unread mail in the inbox is judged for the report, and gets no label."""
    unread = (("buy cheap pills and more pills", "crook@evil.org"), ("see you at the meeting", "ann@x.org"))
    for number, (body, sender) in enumerate(unread):
        path = put(used, "", 90 + number, flags="")
        path.write_bytes(mail(body, sender=sender))
    report = json.loads(spamlstm("adopt", used, "--json")[1])
    assert (report["new"], report["not_learned_from"]["no evidence"]) == (18, 2)
    assert report["unlabelled"]["spam"] == 1
    assert sum(report["unlabelled"].values()) == 2


def test_on_a_terminal_it_is_a_table(used, state, tiny):
    """On a terminal: tables and next steps, without text of the mail."""
    console = Console(width=100, record=True, file=io.StringIO())
    state.mkdir(mode=0o700)
    _, report = command.learn_mailbox(str(used), dry_run=False, model=tiny, config_file=None, state=state)
    command.print_tables(report, console)
    text = " ".join(console.export_text().split())  # the lines break after any word
    for words in (
        "junk",
        "as spam",
        "mail not like yours",
        "40 reference spam messages",
        "your mail (ham)",
        "18 labels are new",
        "spamlstm run --dry-run",
        "removes the adopted labels",
    ):
        assert words in text
    assert "plain subject" not in text


def test_as_json(spamlstm, used):
    """--json prints one object with the whole report."""
    report = json.loads(spamlstm("adopt", used, "--json")[1])
    assert report["evidence"]["junk"] == 9
    assert report["rehearsal"]["ham"]["spam"] == 0
    assert report["thresholds"]["spam"] == report["thresholds"]["policy"]["spam"]
    assert sum(report["reference"]["before"]["spam"].values()) == 40
    assert not report["reference"]["worse"]
    assert report["false_positive_rate"] == {
        "limit": 0.001,
        "ham": 8,
        "filed": 0,
        "upper_bound": pytest.approx(0.3244, abs=1e-4),
        "proven": False,
    }


def test_a_dry_run_leaves_no_trace(spamlstm, used, state):
    """A dry run reports the same and stores nothing, with and without an existing label store."""
    report = json.loads(spamlstm("adopt", used, "--dry-run", "--json")[1])
    assert (report["new"], report["dry_run"]) == (18, True)
    assert not state.exists()
    spamlstm("label", "spam", used / "cur" / "2.host:2,S")
    before = spamlstm("labels", "--json")
    assert json.loads(spamlstm("adopt", used, "--dry-run", "--json")[1])["new"] == 17
    assert spamlstm("labels", "--json") == before


def test_undo(spamlstm, used):
    """--undo removes exactly the adopted labels; a second time there are none."""
    spamlstm("label", "spam", used / "cur" / "2.host:2,S")
    before = spamlstm("labels", "--json")
    spamlstm("adopt", used)
    assert spamlstm("adopt", used, "--undo", "--dry-run")[1] == "17 adopted labels would be removed\n"
    assert spamlstm("adopt", used, "--undo")[1] == "17 adopted labels removed\n"
    assert spamlstm("labels", "--json") == before
    assert spamlstm("adopt", used, "--undo", "--json")[1] == '{"removed": 0, "dry_run": false}\n'


def test_ctrl_c_says_how_to_continue(state, capfd):
    """An interrupted adoption says how to continue; a dry run does not."""
    for dry_run in (False, True):
        with pytest.raises(KeyboardInterrupt), command.open_labels(state, dry_run=dry_run):
            raise KeyboardInterrupt
    assert capfd.readouterr().err == "spamlstm: adopt: 0 labels stored; run the same command again to continue\n"


def test_mail_is_only_read(spamlstm, used):
    """Names, contents and dates of the mail stay the same."""

    def all_of():
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in used.rglob("*") if path.is_file()}

    before = all_of()
    spamlstm("adopt", used)
    assert all_of() == before


def test_mail_filed_by_the_filter_is_no_evidence(spamlstm, maildir):
    """The filter does not learn from its own verdicts, tagged or not."""
    for number in range(4):
        path = put(maildir, "", number, flags="" if number < 2 else "S")
        if number < 2:
            path.write_bytes(mail(f"buy cheap pills and more pills {number}"))
    assert spamlstm("scan", maildir)[0] == 0
    assert len(list((maildir / ".Junk").rglob("*.*"))) == 2
    status, _, err = spamlstm("adopt", maildir)
    assert status == 65
    assert "no spam to learn from" in err
    put(maildir, ".Junk", 9)
    report = json.loads(spamlstm("adopt", maildir, "--json")[1])
    assert (report["evidence"]["junk"], report["not_learned_from"]["filed by this filter"]) == (1, 2)


@pytest.mark.parametrize(
    ("letters", "complaint"),
    [
        ([], (66, "there is no mail in")),
        ([("", "")], (66, "(1 message) is ham or spam; label some with")),
        ([("", "S")] * 3, (65, "no spam to learn from")),
        ([(".Junk", "S")] * 3, (65, "no ham to learn from (mail that was answered, flagged")),
    ],
)
def test_a_mailbox_without_evidence_is_not_adopted(spamlstm, maildir, state, letters, complaint):
    """Without mail of both kinds, one sentence says what is missing, and no label store is made."""
    status, sentence = complaint
    for number, (folder, flags) in enumerate(letters):
        put(maildir, folder, number, flags)
    got, out, err = spamlstm("adopt", maildir)
    assert (got, out, err.count("\n")) == (status, "", 1)
    assert sentence in err
    assert not (state / LABELS).exists()


def test_not_a_maildir(spamlstm, tmp_path):
    """Another folder and a missing path are errors with status 66."""
    for path, words in ((tmp_path, "is not a Maildir"), (tmp_path / "none", "does not exist")):
        status, _, err = spamlstm("adopt", path)
        assert status == 66
        assert words in err


def test_the_name_of_an_account_that_is_not_configured(spamlstm):
    """A name without a slash may be meant as an account: the error says that the configuration has none."""
    status, _, err = spamlstm("adopt", "imap.example.org")
    assert status == 66
    assert "the configuration has no [[imap]] account" in err


def test_unreadable_mail_is_reported(spamlstm, used):
    """Mail that cannot be read is reported, all other mail is learned, and the status is 66."""
    (used / "cur" / "99.host:2,RS").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(32)) * 50)
    status, out, err = spamlstm("adopt", used)
    assert status == 66
    assert "99.host:2,RS: this is not mail" in err
    assert lines(out)["labels", "new"] == "18"


def test_configured_thresholds_take_precedence(spamlstm, used, tmp_path):
    """Thresholds of the configuration hold for mail like the mailbox too."""
    config = tmp_path / "config.toml"
    config.write_text("[policy]\nthresholds = { ham = 0.1, spam = 0.9 }\n[learning]\nmax_false_positive_rate = 0.05\n")
    report = json.loads(spamlstm("adopt", used, "--config", config, "--json")[1])
    assert report["thresholds"]["spam"] == pytest.approx(0.9)
    assert report["false_positive_rate"]["limit"] == 0.05


def test_each_maildir_may_have_its_own(spamlstm, used, tmp_path, state):
    """With labels per Maildir, the labels are in the private folder that the daemon reads for this Maildir."""
    config = tmp_path / "config.toml"
    config.write_text('[learning]\nlabels = "per-maildir"\n')
    assert spamlstm("adopt", used, "--config", config)[0] == 0
    store = personal_dir(state, str(used)) / LABELS
    assert not [path for path in (store, *store.parents[:3]) if path.stat().st_mode & 0o77]
    assert not (state / LABELS).exists()
    assert spamlstm("adopt", used, "--config", config, "--undo")[1] == "18 adopted labels removed\n"


def test_a_mailbox_that_is_labelled_already(spamlstm, used):
    """If the user has labelled all mail with evidence, that is said, and not that there is no evidence."""
    spamlstm("label", "ham", used)
    spamlstm("label", "spam", used / ".Junk")
    status, _, err = spamlstm("adopt", used)
    assert (status, "shows whether it is ham or spam (18 messages)" in err) == (66, True)


def test_a_quiet_adoption(spamlstm, used):
    """With -q nothing is printed except the result of a dry run or --json."""
    assert spamlstm("adopt", used, "--dry-run", "-q")[1]
    assert spamlstm("adopt", used, "-q") == (0, "", "")
    assert spamlstm("adopt", used, "--undo", "-q") == (0, "", "")


def test_undo_for_a_mailbox_that_is_gone(spamlstm, used, tmp_path):
    """An adoption can be undone after the Maildir was renamed, and under every name of its folder."""
    spamlstm("adopt", used)
    link = tmp_path / "link"
    link.symlink_to(used)
    assert spamlstm("adopt", "--undo", "--dry-run", link) == (0, "18 adopted labels would be removed\n", "")
    used.rename(tmp_path / "renamed")
    status, out, err = spamlstm("adopt", "--undo", tmp_path / "renamed")
    assert (status, out) == (0, "0 adopted labels removed\n")
    assert f"no labels were adopted from {tmp_path / 'renamed'}; labels were adopted from {used}" in err
    status, out, err = spamlstm("adopt", "--undo", tmp_path / "mistyped")
    assert (status, out) == (66, "")
    assert "mistyped does not exist; name a Maildir, which is a folder with new, cur and tmp in it; labels were" in err
    assert spamlstm("adopt", "--undo", used) == (0, "18 adopted labels removed\n", "")
    assert spamlstm("adopt", "--undo", used)[0] == 66


def test_undo_makes_no_label_store(spamlstm, used, state):
    """Undoing what was never done creates no files."""
    assert spamlstm("adopt", "--undo", used) == (0, "0 adopted labels removed\n", "")
    assert not state.exists()


def test_another_mailbox_that_disagrees(spamlstm, used, tmp_path):
    """Labels of another mailbox are not changed: the report counts such messages, and one sentence says what helps."""
    other = tmp_path / "other"
    maildirs.make(other)
    for number in range(18):  # the same mail, but what was ham is junk there
        path = put(other, "" if number % 2 else ".Junk", number)
        path.write_bytes(mail(f"some words of letter {number}", sender="crook@evil.org" if number % 2 else "ann@x.org"))
        os.utime(path, (MONTH_AGO, MONTH_AGO))
    spamlstm("adopt", used)
    before = spamlstm("labels", "--json")
    status, _, err = spamlstm("adopt", other)
    assert (status, "(18 messages) was adopted from another mailbox with the opposite label" in err) == (66, True)
    for number in (30, 31):
        put(other, ".Junk" if number % 2 else "", number)
    report = json.loads(spamlstm("adopt", other, "--json")[1])
    assert (report["new"], report["not_learned_from"]["adopted otherwise from another mailbox"]) == (2, 18)
    spamlstm("adopt", "--undo", other)
    assert spamlstm("labels", "--json") == before


def test_labels_of_the_user_are_the_other_kind(spamlstm, maildir):
    """Junk that the user labelled by command counts: the ham of the mailbox is then adopted, ten for each spam."""
    for number in range(24):
        put(maildir, "" if number > 1 else ".Junk", number)
    spamlstm("label", "spam", maildir / ".Junk")
    report = json.loads(spamlstm("adopt", maildir, "--json")[1])
    assert (report["new"], report["evidence"]["kept"], report["not_learned_from"]["labelled by you"]) == (20, 20, 2)
    assert report["not_learned_from"]["older than what is needed"] == 2


def test_labels_of_one_kind_are_not_enough(spamlstm, maildir):
    """With ham labels alone, a mailbox of ham is not adopted, and the error has the numbers of labels."""
    for number in range(3):
        put(maildir, "", number)
    spamlstm("label", "ham", maildir / "cur" / "2.host:2,S")
    status, out, err = spamlstm("adopt", maildir)
    assert (status, out) == (65, "")
    assert "has only ham to learn from (2 messages), and you have already labelled 1 ham and 0 spam; learning" in err


def test_a_maildir_of_two_names_is_one(spamlstm, used, tmp_path):
    """A Maildir adopted by a link and by its path is one mailbox: a message that moved gets the label of its folder."""
    link = tmp_path / "link"
    link.symlink_to(used)
    assert json.loads(spamlstm("adopt", link, "--json")[1])["new"] == 18
    assert json.loads(spamlstm("adopt", used, "--json")[1])["known"] == 18
    next((used / ".Junk" / "cur").iterdir()).rename(used / "cur" / "moved:2,S")
    for name in (link, used):
        report = json.loads(spamlstm("adopt", name, "--dry-run", "--json")[1])
        assert (report["new"], report["not_learned_from"]["adopted otherwise from another mailbox"]) == (1, 0)
    assert json.loads(spamlstm("adopt", link, "--json")[1])["new"] == 1
    assert spamlstm("labels")[1].splitlines()[0] == "10 ham, 8 spam"
    link.unlink()
    assert spamlstm("adopt", "--undo", link) == (0, "18 adopted labels removed\n", "")
