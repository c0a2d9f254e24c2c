"""The path of a folder without symbolic links that somebody else may have made."""

import os

from spamlstm.files import open_directory


def real_path(path: str) -> str:
    """Return the path without symbolic links, as far as its folders exist.

    If a link belongs to another user than root, this user or the owner of the folder, the path is returned unchanged.
    So a user who links to the Maildir of another user does not get what belongs to that Maildir. A path that does not
    begin with a slash, such as the key of an IMAP account, is unchanged too.
    """
    if not path.startswith("/") or os.path.realpath(path) == path:
        return path
    existing, missing = path, ""
    while existing != "/":
        try:
            handle, owners = open_directory(existing)
        except (OSError, ValueError):
            existing, name = os.path.split(existing)
            missing = os.path.join(name, missing) if missing else name  # noqa: PTH118  a part of a path
            continue
        try:
            trusted = {0, os.geteuid(), os.fstat(handle).st_uid}
            real = os.readlink(f"/proc/self/fd/{handle}")  # noqa: PTH115  the same folder, whatever happens to the links
        except OSError:  # /proc is not mounted
            return path
        finally:
            os.close(handle)
        if owners - trusted:
            return path
        return os.path.join(real, missing) if missing else real  # noqa: PTH118
    return path
