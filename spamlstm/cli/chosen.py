"""The configuration that holds for one command: the file's, narrowed by what the command line says."""

import glob
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spamlstm.config import Config, MaildirConfig, load
from spamlstm.config.maildirs import absolute, section_of
from spamlstm.config.places import find
from spamlstm.errors import NoInputError
from spamlstm.mail.maildir import is_maildir


def choose(named: Path | None, maildirs: Sequence[str] = (), *, dry_run: bool = False) -> Config:
    """Read the configuration; of Maildirs only those named, if any are, each with the section that matches it.

    One that no section matches has the defaults. A dry run is one for all, whatever the sections say. NoInputError if
    one that is named is no Maildir.
    """
    file = find(named)
    config = load(file) if file else Config()
    sections = config.maildirs
    if maildirs:
        sections = tuple(_section(config, name) for name in dict.fromkeys(map(_absolute, maildirs)))
    if dry_run:
        sections = tuple(replace(section, dry_run=True) for section in sections)
        config = replace(config, daemon=replace(config.daemon, dry_run=True))
    return replace(config, maildirs=sections)


def _absolute(name: str) -> str:
    return absolute(str(Path(name).expanduser().absolute()))


def _section(config: Config, path: str) -> MaildirConfig:
    if not is_maildir(path):
        raise NoInputError(f"{path} is no Maildir: it lacks new, cur or tmp")
    section = section_of(config.maildirs, Path(path)) or MaildirConfig(path)
    return replace(section, path=glob.escape(path))
