"""The labels that are the opposite of the verdict of the model in use, as `spamlstm retrain` reports them."""

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from spamlstm.cli.selection import account_named
from spamlstm.cli.terminal import plain
from spamlstm.config import Config, ImapConfig
from spamlstm.config.maildirs import expand_maildirs
from spamlstm.daemon.imap.answers import RemoteFlag
from spamlstm.daemon.imap.records import AccountRecords
from spamlstm.errors import UserError
from spamlstm.learning.opposed_labels import OpposedLabel
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.state import FlagSet
from spamlstm.wording import in_shell


def with_folders(
    opposed: Sequence[OpposedLabel], state: Path, config: Config, *, maildir: Path | None
) -> tuple[OpposedLabel, ...]:
    """Return the labels, each with a folder of its message if the daemon knows one.

    `state` is the state folder with the records of the daemon. They are copied and not changed. Records that cannot be
    read now are ignored, because the report is useful without the folders. `maildir` is the Maildir or account whose
    labels these are, or None if all Maildirs share their labels.
    """
    account = None if maildir is None else account_named(config, str(maildir))
    maildirs = list(expand_maildirs(config.maildirs))
    accounts = list(config.accounts)
    if maildir is not None:
        maildirs = [] if account else [path for path in maildirs if _is_same(path, maildir)]
        accounts = [account] if account else []
    folders: dict[str, str] = {}
    contents = [one.id for one in opposed]
    in_accounts = [_in_account(contents, state, one) for one in accounts]
    for search in (_in_maildirs(contents, state, maildirs), *in_accounts):
        try:
            for content, folder in search:
                folders.setdefault(content, folder)
        except (UserError, OSError):
            continue
    return tuple(replace(one, folder=folders.get(one.id, "")) for one in opposed)


def opposed_lines(
    opposed: Sequence[OpposedLabel], *, number: int, maildir: Path | None, width: int | None = None
) -> list[str]:
    """Return the lines of a table of labels, and which commands list, remove and change labels.

    `number` is the number of all opposed labels. `maildir` is the Maildir or account whose labels these are, or None if
    all Maildirs share their labels. If a line of the table would be wider than `width`, each folder has a line of its
    own.
    """
    # A folder with a line break in its name could add a line with a command.
    found = [(one.id, one.label, f"{one.score:+.2f}", plain(one.folder)) for one in opposed]
    rows = [("id", "label", "score", "folder" if any(one.folder for one in opposed) else ""), *found]
    table = [f"  {label_id:<32}  {label:<5}  {score:>7}  {folder}".rstrip() for label_id, label, score, folder in rows]
    if width is not None and max(map(len, table)) > width:
        table = [f"  {'id':<32}  label    score"]
        for label_id, label, score, folder in found:
            table += [f"  {label_id:<32}  {label:<5}  {score:>7}", *([f"    in {folder}"] if folder else [])]
    option = "" if maildir is None else f" --maildir {in_shell(maildir)}"
    which = f"the {len(opposed)} labels that differ most from the model" if number > len(opposed) else "these labels"
    return [
        "",
        f"{which}, with the score without labels:",
        *table,
        "",
        f"'spamlstm labels --json{option}' lists all labels with their subjects.",
        f"'spamlstm forget{option} ID' removes a wrong label.",
        f"'spamlstm label{option} ham|spam FILE' changes a label.",
    ]


def _is_same(path: Path, maildir: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):  # removed during the retraining
        return path.samefile(maildir)
    return False


def _in_maildirs(contents: Sequence[str], state: Path, maildirs: Sequence[Path]) -> Iterator[tuple[str, str]]:
    mailbox_state = MailboxState.find(state, dry_run=True)
    if mailbox_state is None:
        return
    with closing(mailbox_state):
        for content in contents:
            for maildir in maildirs:
                for folder, file in mailbox_state.copies(str(maildir), content):
                    if not file.flags & (FlagSet.DELETED | FlagSet.GONE):
                        yield content, str(maildir / folder.folder.name)


def _in_account(contents: Sequence[str], state: Path, account: ImapConfig) -> Iterator[tuple[str, str]]:
    records = AccountRecords.find(state, account.key, dry_run=True)
    if records is None:
        return
    with closing(records):
        for content in contents:
            for folder, copy in records.copies(content):
                if not copy.flags & RemoteFlag.GONE:
                    yield content, f"{account.label}: {folder.name}"
