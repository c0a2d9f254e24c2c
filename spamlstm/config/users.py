"""The Maildir of a user whom a client of a listener or of `spamlstm filter` names."""

import os
from enum import StrEnum
from pathlib import Path

from spamlstm.config.maildirs import absolute, section_of
from spamlstm.config.values import Config, LabelScope

MOST_NAME = 255
"""The largest number of bytes of a user's name, which is the limit of Linux file systems for the name of a folder."""


def maildir_of(config: Config, user: str) -> str | None:
    """Return the Maildir whose labels apply to mail for `user`, or None if no labels apply.

    With shared labels, the result is an empty string for every user. Otherwise the user's Maildir must be a Maildir of
    the configuration. If no such folder exists, the name in lower case is used, because a sender can write an address
    in any case. `user` may be hostile. Its parts never lead to another folder, and no name raises an error.
    """
    if config.learning.labels is LabelScope.SHARED:
        return ""
    given = _maildir(config, user)
    return given if given is not None and os.path.isdir(given) else _maildir(config, user.lower())  # noqa: PTH112


class UserProblem(StrEnum):
    """Why naming a user changes nothing."""

    SHARED = "shared"
    """The labels are shared by all users."""
    UNMAPPED = "unmapped"
    """`[learning] user_maildir` is not set, so no labels apply."""
    UNKNOWN = "unknown"
    """No Maildir of the configuration belongs to the user, so no labels apply."""


def problem_of_all_users(config: Config) -> UserProblem | None:
    """Return why naming a user has no effect, whoever the user is, or None if it may have an effect."""
    if config.learning.labels is LabelScope.SHARED:
        return UserProblem.SHARED
    return UserProblem.UNMAPPED if config.learning.user_maildir is None else None


def user_problem(config: Config, user: str) -> UserProblem | None:
    """Return why naming `user` has no effect, or None if it has an effect or no user is named."""
    if not user:
        return None
    if problem := problem_of_all_users(config):
        return problem
    maildir = maildir_of(config, user)
    return None if maildir is not None and os.path.isdir(maildir) else UserProblem.UNKNOWN  # noqa: PTH112


def _maildir(config: Config, user: str) -> str | None:
    template = config.learning.user_maildir
    local, _, domain = user.rpartition("@") if "@" in user else (user, "", "")
    parts = {"user": user, "local": local, "domain": domain}
    used = {name: part for name, part in parts.items() if template and f"{{{name}}}" in template}
    if not template or not all(map(_is_name, used.values())):
        return None
    for name, part in used.items():
        template = template.replace(f"{{{name}}}", part)
    path = absolute(template)
    return path if section_of(config.maildirs, Path(path)) is not None else None


def _is_name(part: str) -> bool:
    """Return whether `part` can be the name of a folder. Placeholders in names are refused."""
    usable = part.isprintable() and not set(part) & set("/{} ~")
    try:
        size = len(os.fsencode(part))
    except UnicodeEncodeError:  # the encoding of the locale lacks a character
        return False
    return 0 < size <= MOST_NAME and usable and not part.startswith(".")
