"""The mailbox that `adopt` reads: a Maildir, or an IMAP account of the configuration."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spamlstm.cli.selection import account_named, choose_one
from spamlstm.config import Config, ImapConfig, load_found_config
from spamlstm.config.maildirs import folder_identity
from spamlstm.daemon.imap.account_mail import AccountMail
from spamlstm.daemon.imap.accounts import check_imap_installed
from spamlstm.daemon.imap.answers import AccountUnavailableError
from spamlstm.daemon.imap.connection import ImapConnection
from spamlstm.daemon.imap.credentials import CredentialsError, secret_of_account
from spamlstm.daemon.imap.records import AccountRecords
from spamlstm.errors import NoInputError, UnavailableError, reading
from spamlstm.filtering.journal import NAME as JOURNAL
from spamlstm.filtering.journal import Journal
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.mailbox_mail import FolderNames, MailboxMail, MaildirMail
from spamlstm.learning.survey import KnownLabels
from spamlstm.maildir.opened import OpenMaildir


@dataclass(frozen=True, slots=True)
class ChosenMailbox:
    """A mailbox that the user named. `source` is the path of the Maildir, or the key of the account."""

    name: str
    config: Config
    source: str
    account: ImapConfig | None = None


def choose_mailbox(named: Path | None, mailbox: str, *, dry_run: bool) -> ChosenMailbox:
    """Return the mailbox with a path or with the name of an account. `named` is the configuration file.

    Raises NoInputError if there is no such mailbox, and UserError if a file has the name of an account.
    """
    config = load_found_config(named)
    account = account_named(config, mailbox)
    if account is not None:
        return ChosenMailbox(mailbox, config, account.key, account)
    if not os.path.lexists(mailbox) and (config.accounts or "/" not in mailbox):
        names = ", ".join(one.label for one in config.accounts)
        known = f"the accounts are: {names}" if names else "the configuration has no [[imap]] account"
        raise NoInputError(f"'{mailbox}' is neither a Maildir nor an IMAP account; {known}")
    limited, path = choose_one(named, Path(mailbox), dry_run=dry_run)
    return ChosenMailbox(mailbox, limited, path)


@contextlib.contextmanager
def opened_mail(chosen: ChosenMailbox) -> Iterator[MailboxMail]:
    """Open the mailbox for the `with` block.

    Raises NoInputError if the Maildir cannot be opened, and UnavailableError if the account cannot be used now, also
    during the block.
    """
    if chosen.account is not None:
        with _opened_account(chosen.account, chosen.config) as mail:
            yield mail
        return
    with reading(chosen.source):
        mailbox = OpenMaildir.open(chosen.source)
    with mailbox:
        yield MaildirMail(mailbox, FolderNames(chosen.config.maildirs[0].junk, chosen.config.learning.ignore_folders))


@contextlib.contextmanager
def _opened_account(account: ImapConfig, config: Config) -> Iterator[AccountMail]:
    check_imap_installed()
    # The file has no name, so nothing remains of it, whatever happens.
    with tempfile.TemporaryFile() as spool:
        mail = AccountMail(
            account,
            ignore_folders=config.learning.ignore_folders,
            connect=lambda: ImapConnection.open(account, secret_of_account(account)),
            spool=spool,
        )
        try:
            yield mail
        except (AccountUnavailableError, CredentialsError) as error:
            raise UnavailableError(f"the account {account.label} cannot be used now: {error}") from error
        finally:
            mail.close()


def known_labels(state: Path, store: Path, chosen: ChosenMailbox, *, dry_run: bool) -> KnownLabels:
    """Return which messages the filter filed as junk, which the user labelled, and which other mailboxes gave a label.

    `state` is the folder of the journal and of the records of accounts, and `store` the folder of the labels. A dry run
    reads copies of them, so that it does not upgrade the files of an earlier version.
    """
    filed: set[str] = set()
    if (state / JOURNAL).exists():
        with contextlib.closing(Journal.copy(state) if dry_run else Journal.open(state)) as journal:
            filed = journal.filed()
    records = AccountRecords.find(state, chosen.source, dry_run=dry_run) if chosen.account else None
    if records is not None:
        with contextlib.closing(records):
            filed |= records.filed()
    labels = LabelStore.copy(store) if dry_run else LabelStore.find(store)
    if labels is None:
        return KnownLabels(filed)
    with contextlib.closing(labels):
        sources = same_mailbox(chosen.source, labels.adopted_sources.names())
        others = labels.adopted_sources.labels_of_others([chosen.source, *sources])
        return KnownLabels(filed, labels.labelled_by_user(), others)


def same_mailbox(source: str, sources: Iterable[str]) -> list[str]:
    """Return those of `sources` that are the mailbox `source`, also under another path of a Maildir such as a link."""
    identity = folder_identity(source)
    return [one for one in sources if one == source or (identity and folder_identity(one) == identity)]
