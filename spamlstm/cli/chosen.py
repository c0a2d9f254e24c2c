"""The configuration that holds for one run of the daemon: the file's, narrowed by what the command line says."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spamlstm.cli.scan import configured
from spamlstm.config import Config, MaildirConfig, load
from spamlstm.config.places import find
from spamlstm.errors import NoInputError
from spamlstm.mail.maildir import is_maildir


def choose(named: Path | None, maildirs: Sequence[Path] = (), *, dry_run: bool = False) -> Config:
    """Read the configuration; of Maildirs only those that are named, if any are, each with the section that means it.

    One that no section means has the defaults. A dry run is one for all, whatever the sections say. NoInputError if
    one that is named is no Maildir.
    """
    file = find(named)
    config = load(file) if file else Config()
    sections = tuple(_section(config, one) for one in maildirs) if maildirs else config.maildirs
    if dry_run:
        sections = tuple(replace(section, dry_run=True) for section in sections)
    return replace(config, maildirs=sections)


def _section(config: Config, maildir: Path) -> MaildirConfig:
    if not is_maildir(str(maildir)):
        raise NoInputError(f"{maildir} is no Maildir: it lacks new, cur or tmp")
    return configured(config, maildir, dry_run=False)[0].maildirs[0]
