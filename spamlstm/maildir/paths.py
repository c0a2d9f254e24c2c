"""Paths that users name: whether a path is a Maildir, and why it is not. For everything else, see `OpenMaildir`."""

# os functions keep names unchanged:
# ruff: noqa: PTH110, PTH112, PTH114, PTH116, PTH118

import os

from spamlstm.errors import reason_of
from spamlstm.maildir.names import PARTS


def is_maildir(path: str) -> bool:
    """Return whether the directory at `path` has new, cur and tmp.

    Used only for messages to users. All other code uses an OpenMaildir.
    """
    return all(os.path.isdir(os.path.join(path, part)) for part in PARTS)


def why_not_maildir(path: str) -> str:
    """Return a sentence that says why the path is not a Maildir, and what to do."""
    for part in ("", *PARTS):
        try:
            os.stat(os.path.join(path, part))
        except (FileNotFoundError, NotADirectoryError):
            if part:
                break
            if os.path.exists(path):
                return f"{path} is not a folder; correct the path"
            if os.path.islink(path):
                return f"{path} is a symbolic link that leads to nothing; correct the link, or create its target"
            return f"{path} does not exist; correct the path, or create the Maildir, and it is watched"
        except OSError as error:
            is_refused = isinstance(error, PermissionError)
            advice = "give the user of the daemon access to it" if is_refused else "correct the path"
            return f"{path} cannot be read ({reason_of(error)}); {advice}"
    return f"{path} is not a Maildir, as new, cur or tmp is missing; it is watched once they exist"
