"""The files of retraining: a work folder for one run at a time, the last report, and the retrained models.

A run makes everything in a hidden folder beside the user's models, which the next run empties. A kill at any moment
therefore leaves the model in use as it is.
"""

import fcntl
import json
import shutil
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spamlstm.config.locations import models_dir
from spamlstm.errors import TemporaryError
from spamlstm.files import make_private, write_file
from spamlstm.model import registry

KEPT = 3
"""Retrained models that stay installed, beside the model in use and the one before."""
REPORT = "report.json"
NAME = "retrained"
_FOLDER, _LABELS, _LOCK = "retrain", "labels.json", "lock"


@contextmanager
def work_folder() -> Generator[tuple[Path, int]]:
    """Give an empty folder on the file system of the user's models and a lock, an open file; remove it at the end.

    TemporaryError if another retraining holds the lock.
    """
    folder = models_dir() / f".{_FOLDER}"
    make_private(folder)
    work = folder / "work"
    # The lock belongs to the open file, which a training process that outlives this one has open too.
    with (folder / _LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TemporaryError("another retraining is running; wait until it ends") from error
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield work, lock.fileno()
        finally:
            shutil.rmtree(work, ignore_errors=True)


def labels_before(state: Path) -> dict[str, str]:
    """Return the labels at the last retraining, by content id."""
    try:
        labels: dict[str, str] = json.loads((state / _FOLDER / _LABELS).read_text())
    except (OSError, ValueError):
        return {}
    return labels


def save_outcome(state: Path, *, report: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    """Save the report, then the labels, in the state folder; after a kill in between, the run is repeated."""
    folder = state / _FOLDER
    make_private(folder)
    save_json(folder / REPORT, report)
    save_json(folder / _LABELS, labels)


def save_json(path: Path, value: object) -> None:
    """Write a file as JSON, completely or not at all."""
    write_file(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def unused_name() -> str:
    """Return a name for a model by the time, which no installed model has."""
    moment = time.time()
    while (name := f"{NAME}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(moment))}") in registry.names():
        moment += 1
    return name


def remove_old_models(work: Path) -> None:
    """Keep the newest retrained models, the one in use and the one before. Each is moved into `work` by one rename."""
    own = [name for name in registry.names() if name.startswith(f"{NAME}-")]
    for name in own[:-KEPT]:
        if name not in (registry.current(), registry.previous()):
            (models_dir() / name).rename(work / name)
