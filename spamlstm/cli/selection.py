"""Apply the arguments of a command line to the configuration."""

import glob
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spamlstm.config import Config, ImapConfig, LabelScope, MaildirConfig, load_found_config
from spamlstm.config.locations import personal_dir, state_dir
from spamlstm.config.maildirs import absolute, expand_maildirs
from spamlstm.errors import NoInputError, UserError
from spamlstm.maildir.paths import is_maildir
from spamlstm.wording import in_shell

WORK = "a [[maildir]] or [[imap]] section, or 'listen' in a table such as [filter]"
"""The settings that give the daemon something to do."""


def choose(named: Path | None, maildirs: Sequence[Path], *, dry_run: bool) -> Config:
    """Return the configuration from the file `named`, or from the default file.

    If `maildirs` are given, the configuration is limited to these Maildirs, each with the settings of the section that
    applies to it. A Maildir without a section gets the default settings. `dry_run` turns all sections into dry runs,
    also those of IMAP accounts. Raises NoInputError if a path in `maildirs` is not a Maildir.
    """
    config = load_found_config(named)
    for maildir in maildirs:
        _check(maildir)
    sections = tuple(_section(config, one)[0] for one in maildirs) if maildirs else config.maildirs
    return _limited(config, sections, dry_run=dry_run)


def choose_one(named: Path | None, maildir: Path, *, dry_run: bool) -> tuple[Config, str]:
    """Return the configuration limited to one Maildir, and the path that the daemon and the journal use for it.

    Raises NoInputError if `maildir` is not a Maildir.
    """
    _check(maildir)
    config = load_found_config(named)
    section, path = _section(config, maildir)
    return _limited(config, (section,), dry_run=dry_run), path


def account_named(config: Config, name: str) -> ImapConfig | None:
    """Return the IMAP account of the configuration with this name, or None.

    Raises UserError if there is a file with this name too.
    """
    account = next((one for one in config.accounts if one.label == name), None)
    if account is not None and os.path.lexists(name):
        raise UserError(
            f"'{name}' is an IMAP account and also a file here; write ./{name} for the file, or run the command in"
            " another folder for the account"
        )
    return account


def existing_state(state: Path | None) -> Path:
    """Return the state folder, for a command that does not create the folder that --state names.

    Only `run` and `scan` create it, so that a mistyped name has no effect. Raises NoInputError if the user named a
    folder that does not exist, or a file.
    """
    if state is not None and not state.is_dir():
        if state.exists():
            raise NoInputError(f"the state folder {state} is not a folder; check --state")
        raise NoInputError(
            f"the state folder {state} does not exist; check --state, or run: mkdir -p -m 700 {in_shell(state)}"
        )
    return state or state_dir()


def label_folder(state: Path | None, maildir: Path | None, *, named: Path | None) -> Path:
    """Return the folder with the labels.

    The folder is the state folder, or a folder for `maildir` if each Maildir has its own labels. `maildir` may also be
    the name of an IMAP account, or the path of a Maildir with labels that was renamed or removed. Raises UserError if
    `maildir` is required but not given, or if it has no effect. Raises NoInputError if `maildir` is not a Maildir, or
    if the state folder was named and does not exist.
    """
    state = existing_state(state)
    config = load_found_config(named)
    account = None if maildir is None else account_named(config, str(maildir))
    if maildir is not None and account is None:
        former = personal_dir(state, _written(maildir))
        if config.learning.labels is LabelScope.PER_MAILDIR and not os.path.lexists(maildir) and former.is_dir():
            return former
        _check(maildir)
    if config.learning.labels is LabelScope.SHARED:
        if maildir is not None:
            raise UserError(
                "--maildir has no effect, as all Maildirs share their labels; leave it out, or set labels ="
                ' "per-maildir"'
            )
        return state
    if maildir is None:
        raise UserError('each Maildir has its own labels ([learning] labels = "per-maildir"); add --maildir DIR')
    if account is not None:
        return personal_dir(state, account.key)
    folder = personal_dir(state, _section(config, maildir)[1])
    # Without sections, the Maildirs are named on the command line of 'spamlstm run'.
    if config.maildirs and _configured(config, maildir) is None and not folder.is_dir():
        raise UserError(
            f"{maildir} is not a Maildir of the configuration, so its labels would have no effect; name a Maildir of"
            " the configuration, or add this Maildir as [[maildir]]"
        )
    return folder


def _check(maildir: Path) -> None:
    if not os.path.lexists(maildir):
        raise NoInputError(f"{maildir} does not exist; name a Maildir, which is a folder with new, cur and tmp in it")
    above = Path(os.path.abspath(maildir)).parent  # noqa: PTH100  does not follow links
    if is_maildir(str(above)):
        raise NoInputError(f"{maildir} is in the Maildir {above}; name that Maildir instead")
    if not is_maildir(str(maildir)):
        below = maildir / "Maildir"
        example = f", such as {below}" if is_maildir(str(below)) else ""
        raise NoInputError(
            f"{maildir} is not a Maildir: new, cur or tmp is missing in it; name the folder that has all three{example}"
        )


def _section(config: Config, maildir: Path) -> tuple[MaildirConfig, str]:
    """Return the section that applies to a Maildir and the Maildir's path. The section is limited to this Maildir."""
    path, section = _configured(config, maildir) or (_written(maildir), MaildirConfig(""))
    return replace(section, path=glob.escape(path)), path


def _written(maildir: Path) -> str:
    """Return the absolute path of a Maildir as written, without following links."""
    return absolute(os.path.abspath(maildir))  # noqa: PTH100


def _configured(config: Config, maildir: Path) -> tuple[str, MaildirConfig] | None:
    """Return the path that the configuration has for a Maildir, and its section, or None."""
    expanded = expand_maildirs(config.maildirs).items()
    return next(((str(path), section) for path, section in expanded if path.samefile(maildir)), None)


def _limited(config: Config, sections: tuple[MaildirConfig, ...], *, dry_run: bool) -> Config:
    if not dry_run:
        return replace(config, maildirs=sections)
    # `run` serves the accounts too, and a dry run must not move their mail.
    accounts = tuple(replace(one, dry_run=True) for one in config.accounts)
    dry = tuple(replace(one, dry_run=True) for one in sections)
    # The setting of `[daemon]` is for Maildirs that no section names, in which a killed run may have begun to file.
    return replace(config, maildirs=dry, accounts=accounts, daemon=replace(config.daemon, dry_run=True))
