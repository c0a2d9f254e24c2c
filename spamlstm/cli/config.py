"""`spamlstm config`: begin a configuration, check it, and show what holds."""

import sys
from collections.abc import Iterator
from pathlib import Path

from spamlstm.cli.output import plain
from spamlstm.config import Action, Config, LabelScope, MaildirConfig, load_config
from spamlstm.config.locations import config_files, find_config_file, user_file
from spamlstm.config.maildirs import expand_maildirs
from spamlstm.config.reading import ProblemsError
from spamlstm.config.values import AUTO
from spamlstm.config.writing import to_toml, write_default
from spamlstm.errors import ConfigError
from spamlstm.maildir.names import is_maildir

# More Maildirs than this are counted, not listed.
_LISTED = 10


def begin(path: Path | None) -> None:
    """Write the commented default file, to the user's place if none is named; an existing file is left as it is."""
    target = path or user_file()
    write_default(target)
    _print(f"{target} is written; change it to your needs, then run: spamlstm config check")


def check(named: Path | None) -> int:
    """Print every problem of the configuration, or else what it watches; gives the exit status."""
    path = find_config_file(named)
    if path is None:
        raise ConfigError(f"there is no configuration file ({_looked()}); spamlstm config init writes one")
    try:
        config = load_config(path)
    except ProblemsError as error:
        _print(*error.lines())
        return error.exit_status
    _print(f"{path} is right. {_watched(config)}", *_sections(config))
    return 0


def show(named: Path | None) -> None:
    """Print the configuration that holds, with its defaults, as TOML that can be read again."""
    path = find_config_file(named)
    origin = f"from {path}" if path else f"there is no configuration file ({_looked()}); these are the defaults"
    config = load_config(path) if path else Config()
    _print(f"# {origin}", "", *to_toml(config).rstrip("\n").split("\n"))


def _looked() -> str:
    return "looked for: " + ", ".join(map(str, config_files()))


def _watched(config: Config) -> str:
    return "It watches:" if config.maildirs else "It watches nothing: it has no [[maildir]]."


def _sections(config: Config) -> Iterator[str]:
    found: dict[int, list[Path]] = {id(section): [] for section in config.maildirs}
    for path, section in expand_maildirs(config.maildirs).items():
        if is_maildir(str(path)):
            found[id(section)].append(path)
    for section in config.maildirs:
        yield f"  {section.path}: {_count(len(found[id(section)]))}{_done(config, section)}"
        yield from (f"    {path}" for path in found[id(section)][:_LISTED])
        if len(found[id(section)]) > _LISTED:
            yield f"    and {len(found[id(section)]) - _LISTED} more"
    if config.learning.labels is LabelScope.SHARED and sum(map(len, found.values())) > 1:
        yield '  Labels in one Maildir judge the mail of all. For several people set [learning] labels = "per-maildir".'


def _count(number: int) -> str:
    return "no Maildir is there now" if not number else "1 Maildir" if number == 1 else f"{number} Maildirs"


def _done(config: Config, section: MaildirConfig) -> str:
    target = "the junk folder that is there" if section.junk == AUTO else section.junk
    words = {Action.TAG: "tag", Action.KEYWORD: "set the junk keyword", Action.FILE: f"file to {target}"}
    verdicts = {"spam": section.spam, "unsure": section.unsure, "ham": section.ham}
    parts = [f"{name}: {', '.join(words[one] for one in todo) or 'nothing'}" for name, todo in verdicts.items()]
    return f"; {'; '.join(parts)}" + ("; dry run: only reported" if config.is_dry(section) else "")


def _print(*lines: str) -> None:
    for line in lines:
        # A file name may be no UTF-8.
        sys.stdout.write(plain(line).encode("utf-8", "backslashreplace").decode() + "\n")
