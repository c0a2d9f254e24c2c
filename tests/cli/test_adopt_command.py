"""`spamlstm adopt` as a user meets it: what it says, what it leaves, and how it ends."""

import io
import json
import os
import time

import pytest
from rich.console import Console
from tiny_bundle import mail

from spamlstm.cli import adopt as command
from spamlstm.cli import translate
from spamlstm.config.locations import LABELS, personal_dir

MONTH_AGO = time.time() - 40 * 86_400


@pytest.fixture
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state") / "new"


@pytest.fixture
def spamlstm(tiny, capfd, monkeypatch, state):
    """Run a command line in this process, with a state folder of its own: gives (status, output, complaints)."""
    monkeypatch.setenv("SPAMLSTM_MODEL", str(tiny))
    monkeypatch.setenv("STATE_DIRECTORY", str(state))

    def run(*arguments):
        status = translate.run([str(one) for one in arguments])
        return status, *capfd.readouterr()

    return run


@pytest.fixture
def maildir(tmp_path):
    root = tmp_path / "Maildir"
    for part in ("new", "cur", "tmp"):
        (root / part).mkdir(parents=True)
    return root


def put(root, folder, number, flags="S"):
    home = root / folder
    for part in ("new", "cur", "tmp"):
        (home / part).mkdir(parents=True, exist_ok=True)
    path = home / "cur" / f"{number}.host:2,{flags}"
    path.write_bytes(mail(f"some words of letter {number}", sender="crook@evil.org" if folder else "ann@x.org"))
    os.utime(path, (MONTH_AGO + number, MONTH_AGO + number))
    return path


@pytest.fixture
def lived_in(maildir):
    """A mailbox with six letters kept, three answered and nine pieces of junk."""
    for number in range(18):
        put(maildir, ".Junk" if number % 2 else "", number, flags="RS" if number % 6 == 0 else "S")
    return maildir


def lines(out) -> dict[tuple[str, str], str]:
    return {(row[0], row[1]): row[2] for row in (line.split("\t") for line in out.splitlines())}


def test_a_mailbox_is_adopted(spamlstm, lived_in):
    """Lines for tools: where the labels came from, how the last would have fared, and the bars. It counts at once."""
    path = lived_in / "cur" / "2.host:2,S"
    assert spamlstm("classify", path)[1].startswith("unsure")
    status, out, err = spamlstm("adopt", lived_in)
    assert (status, err) == (0, "")
    told = lines(out)
    assert {kind: told["evidence", kind] for kind in ("answered", "kept", "junk")} == {
        "answered": "3",
        "kept": "6",
        "junk": "9",
    }
    assert told["labels", "new"] == "18"
    assert sum(int(told["last_ham", verdict]) for verdict in ("ham", "unsure", "spam")) == 9
    assert told["ham_filed", "of"] == "9"
    assert float(told["bar", "spam"]) == 0.98  # so little ham does not lower the model's
    assert spamlstm("classify", path)[1].startswith("ham")
    assert spamlstm("labels")[1].splitlines()[0] == "9 ham, 9 spam"
    assert lines(spamlstm("adopt", lived_in)[1])["labels", "known"] == "18"


def test_mail_of_which_nothing_was_said_is_judged_and_not_learned(spamlstm, lived_in):
    """What lies unread in the inbox shows what would become of it, and stays none of the labels."""
    unread = (("buy cheap pills and more pills", "crook@evil.org"), ("see you at the meeting", "ann@x.org"))
    for number, (body, sender) in enumerate(unread):
        path = put(lived_in, "", 90 + number, flags="")
        path.write_bytes(mail(body, sender=sender))
    told = json.loads(spamlstm("adopt", lived_in, "--json")[1])
    assert (told["new"], told["not_learned_from"]["no evidence"]) == (18, 2)
    assert told["unsaid"]["spam"] == 1
    assert sum(told["unsaid"].values()) == 2


def test_on_a_terminal_it_is_a_table(lived_in, state, tiny):
    """With what to do next, and nothing of the mail in it."""
    console = Console(width=100, record=True, file=io.StringIO())
    options = command.AdoptOptions(maildir=lived_in, dry_run=False, json=False, model=tiny, config=None, state=state)
    _, report = command.learned(options)
    command.pretty(report, console)
    text = console.export_text()
    for said in ("junk", "judged spam", "your mail (ham)", "18 labels are new", "spamlstm run --dry-run"):
        assert said in text
    assert "plain subject" not in text


def test_as_json(spamlstm, lived_in):
    """One object, with all of it."""
    told = json.loads(spamlstm("adopt", lived_in, "--json")[1])
    assert told["evidence"]["junk"] == 9
    assert told["last"]["ham"]["spam"] == 0
    assert told["bars"]["used"]
    assert told["ham_filed"] == {
        "wanted": 0.001,
        "of": 9,
        "filed": 0,
        "at_most": pytest.approx(0.2992, abs=1e-4),
        "shown": False,
    }


def test_a_dry_run_leaves_no_trace(spamlstm, lived_in, state):
    """It says the same, and nothing is kept, neither beside nor in what is there already."""
    told = json.loads(spamlstm("adopt", lived_in, "--dry-run", "--json")[1])
    assert (told["new"], told["dry_run"]) == (18, True)
    assert not state.exists()
    spamlstm("label", "spam", lived_in / "cur" / "2.host:2,S")
    before = spamlstm("labels", "--json")
    assert json.loads(spamlstm("adopt", lived_in, "--dry-run", "--json")[1])["new"] == 17
    assert spamlstm("labels", "--json") == before


def test_undo(spamlstm, lived_in):
    """Exactly what was adopted goes; a second time there is nothing."""
    spamlstm("label", "spam", lived_in / "cur" / "2.host:2,S")
    before = spamlstm("labels", "--json")
    spamlstm("adopt", lived_in)
    assert spamlstm("adopt", lived_in, "--undo", "--dry-run")[1] == "17 adopted labels would be taken back\n"
    assert spamlstm("adopt", lived_in, "--undo")[1] == "17 adopted labels taken back\n"
    assert spamlstm("labels", "--json") == before
    assert spamlstm("adopt", lived_in, "--undo", "--json")[1] == '{"taken_back": 0, "dry_run": false}\n'


def test_ctrl_c_says_how_to_go_on(state, capfd):
    """And only where something was kept."""
    for dry_run in (False, True):
        with pytest.raises(KeyboardInterrupt), command.opened(state, dry_run=dry_run):
            raise KeyboardInterrupt
    assert capfd.readouterr().err == "spamlstm: 0 labels are adopted; the same command goes on there\n"


def test_mail_is_only_read(spamlstm, lived_in):
    """Names, bytes and dates are as they were."""

    def all_of():
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in lived_in.rglob("*") if path.is_file()}

    before = all_of()
    spamlstm("adopt", lived_in)
    assert all_of() == before


def test_what_this_filter_filed_is_no_evidence(spamlstm, maildir):
    """Its own verdicts do not teach it, tagged or not."""
    for number in range(4):
        path = put(maildir, "", number, flags="" if number < 2 else "S")
        if number < 2:
            path.write_bytes(mail(f"buy cheap pills and more pills {number}"))
    assert spamlstm("scan", maildir)[0] == 0
    assert len(list((maildir / ".Junk").rglob("*.*"))) == 2
    status, _, err = spamlstm("adopt", maildir)
    assert status == 65
    assert "no junk that this filter did not file itself" in err
    put(maildir, ".Junk", 9)
    told = json.loads(spamlstm("adopt", maildir, "--json")[1])
    assert (told["evidence"]["junk"], told["not_learned_from"]["filed by this filter"]) == (1, 2)


@pytest.mark.parametrize(
    ("letters", "complaint"),
    [
        ([], (66, "there is no mail in")),
        ([("", "")], (66, "none of the 1 messages in")),
        ([("", "S")] * 3, (65, "no junk")),
        ([(".Junk", "S")] * 3, (65, "none that was answered, flagged, filed in a folder or kept read")),
    ],
)
def test_what_cannot_be_adopted(spamlstm, maildir, state, letters, complaint):
    """One sentence each, and no state is made."""
    status, sentence = complaint
    for number, (folder, flags) in enumerate(letters):
        put(maildir, folder, number, flags)
    got, out, err = spamlstm("adopt", maildir)
    assert (got, out, err.count("\n")) == (status, "", 1)
    assert sentence in err
    assert not (state / LABELS).exists()


def test_what_is_no_maildir(spamlstm, tmp_path):
    """Nor is a name that leads nowhere."""
    for path in (tmp_path, tmp_path / "none"):
        status, _, err = spamlstm("adopt", path)
        assert status == 66
        assert "is no Maildir" in err


def test_what_cannot_be_read_is_told_and_the_rest_is_learned(spamlstm, lived_in):
    """The exit status says that something is missing."""
    (lived_in / "cur" / "99.host:2,RS").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(32)) * 50)
    status, out, err = spamlstm("adopt", lived_in)
    assert status == 66
    assert "99.host:2,RS: this is not mail" in err
    assert lines(out)["labels", "new"] == "18"


def test_the_configuration_s_bars_are_told_to_hold(spamlstm, lived_in, tmp_path):
    """Found bars are kept, and not used where the user's own are."""
    config = tmp_path / "config.toml"
    config.write_text("[policy]\nthresholds = { ham = 0.1, spam = 0.9 }\n[learning]\nmax_false_positive_rate = 0.05\n")
    told = json.loads(spamlstm("adopt", lived_in, "--config", config, "--json")[1])
    assert (told["bars"]["used"], told["ham_filed"]["wanted"]) == (False, 0.05)


def test_each_maildir_may_have_its_own(spamlstm, lived_in, tmp_path, state):
    """Where layers are not shared, the labels lie where the daemon looks for this Maildir's, for its owner alone."""
    config = tmp_path / "config.toml"
    config.write_text('[learning]\nlabels = "per-maildir"\n')
    assert spamlstm("adopt", lived_in, "--config", config)[0] == 0
    store = personal_dir(state, str(lived_in)) / LABELS
    assert not [path for path in (store, *store.parents[:3]) if path.stat().st_mode & 0o77]
    assert not (state / LABELS).exists()
    assert spamlstm("adopt", lived_in, "--config", config, "--undo")[1] == "18 adopted labels taken back\n"
