"""Configurations as TOML: the file that a user begins with, and the one that says what holds."""

import json
import os
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

from spamlstm.config.values import AUTO, Action, Config, MaildirConfig
from spamlstm.errors import UserError
from spamlstm.files import CREATE, make_private


def default_text() -> str:
    """A configuration for one ~/Maildir, with each setting, its default and what it means in comments."""
    return resources.files("spamlstm.config").joinpath("default.toml").read_text("utf-8")


def write_default(path: Path) -> None:
    """Write `default_text` to a new file of mode 0600, with the folders above it. If that fails, no file is left.

    A file that is there already is never touched: that is a UserError.
    """
    make_private(path.parent)
    try:
        file = os.open(path, CREATE, 0o600)
    except FileExistsError as error:
        raise UserError(f"{path} is there already and is left as it is; --path FILE writes another") from error
    try:
        with open(file, "w", encoding="utf-8") as out:  # noqa: PTH123  it is open already
            out.write(default_text())
    except BaseException:
        path.unlink()
        raise


def to_toml(config: Config) -> str:
    """All that `config` says, defaults too; reading it gives an equal Config. What the bundle decides is a comment."""
    blocks = [_daemon(config), _policy(config), _learning(config), _metrics(config), *map(_maildir, config.maildirs)]
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks)


def _daemon(config: Config) -> Iterator[str]:
    yield "[daemon]"
    yield f"scan_seconds = {_number(config.daemon.scan_seconds)}"
    yield f"catch_up = {_string(config.daemon.catch_up)}"
    yield f"dry_run = {_boolean(config.daemon.dry_run)}"


def _policy(config: Config) -> Iterator[str]:
    policy = config.policy
    yield "[policy]"
    yield f"allow = {_strings(policy.allow)}"
    yield f"deny = {_strings(policy.deny)}"
    if policy.costs is not None:
        costs = policy.costs
        yield (
            f"costs = {{ false_positive = {_number(costs.false_positive)}, "
            f"false_negative = {_number(costs.false_negative)}, unsure = {_number(costs.unsure)} }}"
        )
    if policy.thresholds is not None:
        thresholds = policy.thresholds
        yield f"thresholds = {{ ham = {_number(thresholds.ham)}, spam = {_number(thresholds.spam)} }}"
    if policy.costs is None and policy.thresholds is None:
        yield "# thresholds: those of the model in use (spamlstm model show)"


def _learning(config: Config) -> Iterator[str]:
    learning = config.learning
    yield "[learning]"
    yield f"learn_from_moves = {_boolean(learning.learn_from_moves)}"
    yield f"labels = {_string(learning.labels)}"
    yield f"max_false_positive_rate = {_number(learning.max_false_positive_rate)}"
    yield f"ignore_folders = {_strings(learning.ignore_folders)}"


def _metrics(config: Config) -> Iterator[str]:
    metrics = config.metrics
    yield "[metrics]"
    yield "# textfile: none" if metrics.textfile is None else f"textfile = {_string(metrics.textfile)}"
    yield "# listen: nowhere" if metrics.listen is None else f"listen = {_string(metrics.listen)}"


def _maildir(section: MaildirConfig) -> Iterator[str]:
    yield "[[maildir]]"
    yield f"path = {_string(section.path)}"
    yield f"junk = {_string(section.junk)}" + ("  # the folder that is there" if section.junk == AUTO else "")
    yield f"spam = {_actions(section.spam)}"
    yield f"unsure = {_actions(section.unsure)}"
    yield f"ham = {_actions(section.ham)}"
    yield "# dry_run: as in [daemon]" if section.dry_run is None else f"dry_run = {_boolean(section.dry_run)}"


def _string(value: str) -> str:
    # JSON's strings are TOML's, but for what JSON lets stand as it is; a terminal should see none of that either.
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in json.dumps(value, ensure_ascii=False))


def _strings(values: Iterable[str]) -> str:
    return "[" + ", ".join(map(_string, values)) + "]"


def _actions(actions: tuple[Action, ...]) -> str:
    return _strings(actions)


def _boolean(value: bool) -> str:  # noqa: FBT001  there is nothing else to name
    return "true" if value else "false"


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
