"""`spamlstm undo` and IMAP accounts that are not in the configuration any more."""

import contextlib
import json
import sqlite3
import time

import damage
import pytest

from spamlstm.cli.adopted_mailbox import ChosenMailbox, known_labels
from spamlstm.config import Config, ImapConfig
from spamlstm.daemon.imap.account_state import AccountAct, HandledMessage
from spamlstm.daemon.imap.records import AccountRecords
from spamlstm.maildir.folders import FolderRole

CONTENT = "00112233445566778899aabbccddeeff"


@pytest.fixture
def removed(state, tmp_path):
    """A configuration without accounts. Returns a function that records an act on an account that it had."""
    (tmp_path / "config.toml").write_text("[daemon]\n")
    state.mkdir(mode=0o700)

    def record(account):
        with contextlib.closing(AccountRecords.open(state, account.key)) as records, records.change():
            records.add_folder("INBOX", FolderRole.INBOX)
            records.add_folder("Junk", FolderRole.JUNK)
            done = AccountAct(HandledMessage(1, 2, 7, 5, CONTENT, 1, 2, word="$Junk"), time.time())
            records.add_act(done)

    return record


@pytest.mark.parametrize("options", [(), ("--dry-run",), (CONTENT,)])
def test_an_account_that_left_the_configuration_is_named(spamlstm, removed, tmp_path, options):
    """Each act on it fails with a sentence that says what to do, also in a dry run, and stays in the records."""
    removed(ImapConfig("imap.example.org", "ann"))
    for _ in range(2):
        status, out, err = spamlstm("undo", "--json", "--config", tmp_path / "config.toml", *options)
        assert (status, err) == (75, "")
        row = json.loads(out)
        assert (row["status"], row["id"], row["from"]) == ("failed", CONTENT, "Junk")
        assert row["account"] == "imap://ann@imap.example.org:993"
        assert "the account is not in the configuration; add its [[imap]] section again" in row["failure"]
    status, out, _ = spamlstm("undo", "--config", tmp_path / "config.toml", *options)
    assert (status, "imap://ann@imap.example.org:993: Junk" in out, "1 failed" in out) == (75, True, True)


def test_damaged_records_do_not_hide_the_acts_on_other_accounts(spamlstm, removed, state, tmp_path):
    """Each damaged file is named with what to do (65), once; the acts on all other accounts are reported."""
    accounts = [ImapConfig(f"{name}.example.org", "ann") for name in "abcd"]
    for one in accounts:
        removed(one)
    paths = [AccountRecords.path_of(state, one.key) for one in accounts]
    paths[0].write_bytes(b"no database" * 1000)  # cannot be opened
    assert damage.plant(paths[2], "acts", "uid", "'x'")  # can be opened
    (tmp_path / "config.toml").write_text('[[imap]]\nhost = "c.example.org"\nuser = "ann"\npassword_command = "true"\n')
    for options in ((), ("--dry-run",)):
        status, out, err = spamlstm("undo", "--json", "--config", tmp_path / "config.toml", *options)
        assert status == 65
        assert sorted(json.loads(line)["account"] for line in out.splitlines()) == [accounts[1].key, accounts[3].key]
        assert [one for one in paths if f"spamlstm: {one} is damaged" in err] == [paths[0], paths[2]]
        assert err.count("\n") == err.count("; move it away to begin anew") == 2


def test_accounts_without_acts_are_not_named(spamlstm, removed, state, tmp_path):
    """An account on which there is nothing to undo is no failure, and neither are acts that were not asked for."""
    AccountRecords.open(state, "imap://bob@x:993").close()
    assert spamlstm("undo", "--config", tmp_path / "config.toml")[0] == 0
    removed(ImapConfig("imap.example.org", "ann"))
    assert spamlstm("undo", "--since", "0s", "--config", tmp_path / "config.toml")[0] == 0


@pytest.mark.parametrize("is_configured", [False, True])
def test_a_dry_run_upgrades_no_records(spamlstm, removed, state, tmp_path, *, is_configured):
    """A dry run of a new version leaves the records of the earlier version, which may be running, as they are."""
    account = ImapConfig("imap.example.org", "ann")
    removed(account)
    if is_configured:
        (tmp_path / "config.toml").write_text(
            f'[[imap]]\nhost = "{account.host}"\nuser = "ann"\npassword_command = "true"\n'
        )
    path = AccountRecords.path_of(state, account.key)
    with contextlib.closing(sqlite3.connect(path)) as earlier:
        for column in ("is_junk", "is_dry"):
            earlier.execute(f"ALTER TABLE judged DROP COLUMN {column}")
        earlier.executescript("DROP TABLE account; PRAGMA user_version = 2")
    status, _, _ = spamlstm(
        "undo", "--dry-run", "--since", "0s" if is_configured else "1h", "--config", tmp_path / "config.toml"
    )
    assert status == (0 if is_configured else 75)
    chosen = ChosenMailbox("ann", Config(accounts=(account,)), account.key, account)
    assert known_labels(state, state, chosen, dry_run=True).filed == set()
    with contextlib.closing(sqlite3.connect(path)) as earlier:
        assert earlier.execute("PRAGMA user_version").fetchone() == (2,)
