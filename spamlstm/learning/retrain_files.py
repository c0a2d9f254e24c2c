"""The files of retraining: a work folder for one run at a time, the last report, and the retrained models.

A run creates all files in a hidden folder in the folder of the user's models, and the next run empties this folder. If
a run is killed, the model in use is therefore unchanged.
"""

import errno
import fcntl
import json
import shutil
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spamlstm.config.locations import models_dir
from spamlstm.errors import OutputError, TemporaryError, reason_of
from spamlstm.files import make_private, write_file
from spamlstm.model import registry

KEPT = 3
"""The number of retrained models that stay installed, in addition to the model in use and the previous model."""
REPORT = "report.json"
NAME = "retrained"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FOLDER, _LABELS, _LOCK = "retrain", "labels.json", "lock"


@contextmanager
def work_folder() -> Generator[tuple[Path, int]]:
    """Yield an empty work folder and the file descriptor of the lock on it. The work folder is removed at the end.

    The work folder is on the file system of the user's models, so that a model can be installed by one rename.

    Raises TemporaryError if another retraining holds the lock, and OutputError if a file in the work folder cannot be
    written because the disk is full.
    """
    folder = models_dir() / f".{_FOLDER}"
    make_private(folder)
    work = folder / "work"
    # The lock belongs to the open file. A training process inherits the open file and may outlive this process.
    with (folder / _LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TemporaryError("another retraining is running; wait until it ends") from error
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield work, lock.fileno()
        except OSError as error:
            # The error of a write names no file. Other errors name none either, such as that of too many processes.
            if error.filename is not None or error.errno not in _NO_SPACE:
                raise
            raise OutputError(f"{work} cannot be written: {reason_of(error)}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)


def remove_leftovers() -> None:
    """Remove the copies of mail that a killed run left. A run that is still going removes its own copies."""
    if (models_dir() / f".{_FOLDER}").is_dir():
        with suppress(TemporaryError), work_folder():
            pass


def labels_before(state: Path) -> dict[str, str]:
    """Return the labels at the last retraining, by content id. The dict is empty if they cannot be read."""
    try:
        labels = json.loads((state / _FOLDER / _LABELS).read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return labels if isinstance(labels, dict) else {}


def save_outcome(state: Path, *, report: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    """Save the report, then the labels, in the state folder.

    If the process is killed between these two steps, the next run retrains again.
    """
    folder = state / _FOLDER
    make_private(folder)
    save_json(folder / REPORT, report)
    save_json(folder / _LABELS, labels)


def save_json(path: Path, value: object) -> None:
    """Write a JSON file, completely or not at all."""
    write_file(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def unused_name() -> str:
    """Return a model name with the current time, which is not the name of an installed model."""
    moment = time.time()
    while (name := f"{NAME}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(moment))}") in registry.names():
        moment += 1
    return name


def remove_old_models(work: Path, *, parent: Path) -> None:
    """Move old retrained models into the work folder `work`, each by one rename. `work_folder` deletes them later.

    The newest KEPT retrained models, the current and the previous model, and the folders `parent` and
    $SPAMLSTM_MODEL are kept. A daemon may use these folders.
    """
    own = [name for name in registry.names() if name.startswith(f"{NAME}-")]
    named = [parent.resolve(), registry.find_bundle(None).resolve()]
    for name in own[:-KEPT]:
        path = models_dir() / name
        if name not in (registry.current(), registry.previous()) and path.resolve() not in named:
            path.rename(work / name)
