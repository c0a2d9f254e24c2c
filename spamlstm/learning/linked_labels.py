"""Labels that an earlier version stored by a path of a Maildir with links, beside the store of the Maildir itself."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from spamlstm.config.locations import LABELS, former_personal_dir, real_personal_dir
from spamlstm.files import sync_folder
from spamlstm.learning.label_merge import merge_labels
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Base, Trainer, rescore_labels


def unite_labels(state: Path, maildir: str, *, base: Callable[[], Base]) -> None:
    """Move labels stored by a path of a Maildir with links to the store of the Maildir, which may have labels too.

    Afterwards a Maildir has one store, whatever path names it. Repeating this after a crash changes nothing. `base`
    returns the model that scores the labels. Raises UserError or OSError if a store cannot be used.
    """
    former = former_personal_dir(state, maildir)
    if former is None:
        return
    real = real_personal_dir(state, maildir)
    if not (real / LABELS).exists():
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            former.rename(real)
            sync_folder(real.parent)
        return
    with contextlib.closing(LabelStore.open(former)) as labels, contextlib.closing(LabelStore.open(real)) as kept:
        with labels.snapshot() as staging:
            merge_labels(kept, staging)
        rescore_labels(kept, base())
        trainer = Trainer(kept, tell=lambda _: None)
        trainer.prune()
        trainer.catch_up()
        trainer.keep()
    for name in (LABELS, f"{LABELS}-wal", f"{LABELS}-shm"):
        (former / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # the user may have put other files there
        former.rmdir()
