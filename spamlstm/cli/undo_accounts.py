"""`spamlstm undo` on IMAP accounts: those on which there is something to undo, also if they left the configuration."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from spamlstm.config import Config, ImapConfig
from spamlstm.daemon.imap.account_session import AccountSession, AccountTally
from spamlstm.daemon.imap.account_state import AccountAct
from spamlstm.daemon.imap.account_undo import AccountUndo, AccountUndoResult
from spamlstm.daemon.imap.accounts import check_imap_installed
from spamlstm.daemon.imap.answers import AccountUnavailableError
from spamlstm.daemon.imap.connection import ImapConnection
from spamlstm.daemon.imap.credentials import CredentialsError, secret_of_account
from spamlstm.daemon.imap.move_recovery import MoveRecovery
from spamlstm.daemon.imap.records import FOLDER, AccountRecords
from spamlstm.errors import UserError
from spamlstm.filtering.undo import UndoStatus

_Result = TypeVar("_Result")
_REMOVED = "the account is not in the configuration; add its [[imap]] section again, or name its file with --config"


def has_records(state: Path) -> bool:
    """Return whether a daemon with this state folder has served IMAP accounts."""
    return (state / FOLDER).is_dir()


def undo_on_accounts(
    config: Config, state: Path, *, is_wanted: Callable[[AccountAct], bool], dry: bool
) -> Iterator[tuple[str, AccountUndoResult] | UserError]:
    """Undo the wanted acts on all accounts, or in a dry run only report them. No daemon may run with `state`.

    Yields the name of the account and the result of each act. An account is only connected if there is something to
    undo, or a move whose result is not known. Acts on accounts that are not in the configuration any more fail. Yields
    an error for each account whose records cannot be used; the other accounts are not affected.
    """
    for account in config.accounts:
        yield from _with_error(_on_account(account, config, state, is_wanted=is_wanted, dry=dry))
    for path in AccountRecords.others(state, [account.key for account in config.accounts]):
        yield from _with_error(_on_removed_account(path, is_wanted=is_wanted, dry=dry))


def _with_error(results: Iterator[_Result]) -> Iterator[_Result | UserError]:
    """Yield the results, and at the end the error that ended them."""
    try:
        yield from results
    except UserError as error:
        yield error


def _on_account(
    account: ImapConfig, config: Config, state: Path, *, is_wanted: Callable[[AccountAct], bool], dry: bool
) -> Iterator[tuple[str, AccountUndoResult]]:
    records = AccountRecords.find(state, account.key, dry_run=dry)
    if records is None:
        return
    with contextlib.closing(records):
        if any(map(is_wanted, records.acts())) or (records.moves() and not dry):
            for one in _undone(account, config, records, is_wanted=is_wanted, dry=dry):
                yield account.label, one


def _on_removed_account(
    path: Path, *, is_wanted: Callable[[AccountAct], bool], dry: bool
) -> Iterator[tuple[str, AccountUndoResult]]:
    with contextlib.closing(AccountRecords.at(path, dry_run=dry)) as records:
        for act in filter(is_wanted, records.acts()):
            folder = records.folder(act.mail.target)
            where = folder.name if folder else ""
            yield records.key, AccountUndoResult(act, UndoStatus.FAILED, where, failure=_REMOVED)


def _undone(
    account: ImapConfig, config: Config, records: AccountRecords, *, is_wanted: Callable[[AccountAct], bool], dry: bool
) -> Iterator[AccountUndoResult]:
    """Undo the wanted acts on one account. If the server cannot be used any more, the remaining acts fail."""
    left = {one.id: one for one in records.acts() if is_wanted(one)}
    try:
        check_imap_installed()
        connection = ImapConnection.open(account, secret_of_account(account))
        with contextlib.closing(connection):
            tally = AccountTally(account.host)
            session = AccountSession(account, config, connection, records, tally)
            if not dry:
                MoveRecovery(session).settle()
                left = {one.id: one for one in records.acts() if is_wanted(one)}
            for one in AccountUndo(session, dry=dry).undo(list(left.values())):
                del left[one.act.id]
                yield one
    except (AccountUnavailableError, CredentialsError) as error:
        yield from (AccountUndoResult(one, UndoStatus.FAILED, failure=str(error)) for one in left.values())
