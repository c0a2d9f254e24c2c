"""The configuration that holds for one run: the file's, narrowed by what the command line says."""

import glob
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spamlstm.config import Config, LabelScope, MaildirConfig, load_found_config
from spamlstm.config.locations import personal_dir, state_dir
from spamlstm.config.maildirs import expand_maildirs
from spamlstm.errors import NoInputError, UserError
from spamlstm.maildir.names import is_maildir


def choose(named: Path | None, maildirs: Sequence[Path] = (), *, dry_run: bool = False) -> Config:
    """Read the configuration; of Maildirs only those that are named, if any are, each with the section that means it.

    One that no section means has the defaults. A dry run is one for all, whatever the sections say. NoInputError if
    one that is named is no Maildir.
    """
    config = load_found_config(named)
    for maildir in maildirs:
        _check(maildir)
    sections = tuple(_section(config, one)[0] for one in maildirs) if maildirs else config.maildirs
    return replace(config, maildirs=_dried(sections) if dry_run else sections)


def choose_one(named: Path | None, maildir: Path, *, dry_run: bool) -> tuple[Config, str]:
    """The same for one Maildir, and the name that the daemon knows it by, whatever link leads to it.

    The journal goes by names.
    """
    _check(maildir)
    config = load_found_config(named)
    section, name = _section(config, maildir)
    return replace(config, maildirs=_dried((section,)) if dry_run else (section,)), name


def label_folder(state: Path | None, maildir: Path | None, *, named: Path | None) -> Path:
    """Where the labels lie that are meant: in the state folder, or in that of one Maildir if each has its own.

    UserError if that is so and none is named; NoInputError if what is named is no Maildir.
    """
    state = state or state_dir()
    config = load_found_config(named)
    if maildir is not None:
        _check(maildir)
    if config.learning.labels is LabelScope.SHARED:
        return state
    if maildir is None:
        raise UserError(
            'each Maildir has labels of its own here ([learning] labels = "per-maildir"): say --maildir DIR'
        )
    return personal_dir(state, _section(config, maildir)[1])


def _check(maildir: Path) -> None:
    if not is_maildir(str(maildir)):
        raise NoInputError(f"{maildir} is no Maildir: it lacks new, cur or tmp")


def _section(config: Config, maildir: Path) -> tuple[MaildirConfig, str]:
    """The section that means a Maildir, narrowed to it, and its name there."""
    named = (
        (str(path), section) for path, section in expand_maildirs(config.maildirs).items() if path.samefile(maildir)
    )
    name, section = next(named, (os.path.abspath(maildir), MaildirConfig("")))  # noqa: PTH100  follows no links
    return replace(section, path=glob.escape(name)), name


def _dried(sections: tuple[MaildirConfig, ...]) -> tuple[MaildirConfig, ...]:
    return tuple(replace(section, dry_run=True) for section in sections)
