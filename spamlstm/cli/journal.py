"""The journal, as the commands open it that act on mail without a daemon."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from spamlstm.daemon.state_folder import hold
from spamlstm.filtering.journal import Journal


@contextlib.contextmanager
def open_journal(state: Path, *, dry_run: bool) -> Iterator[Journal]:
    """Open the journal and lock the state folder. A dry run uses a temporary copy without a lock."""
    with (
        contextlib.nullcontext() if dry_run else hold(state),
        contextlib.closing(Journal.copy(state) if dry_run else Journal.open(state)) as journal,
    ):
        yield journal
