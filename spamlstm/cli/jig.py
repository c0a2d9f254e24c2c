"""`spamlstm jig`: the four programs by which the toolkit of the TREC spam track drives a filter.

    spamlstm jig initialize
    spamlstm jig classify FILE          prints class=ham|spam score=S
    spamlstm jig train ham|spam FILE
    spamlstm jig finalize

They share one state folder, by default a new one in the working folder, as the toolkit expects; never the user's own.
"""

import contextlib
import shutil
import sys
from pathlib import Path

from spamlstm.config.locations import LABELS
from spamlstm.errors import NoInputError, UserError, reason_of
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer, learned_layer
from spamlstm.model.classifier import Classifier

FOLDER = "spamlstm-jig"


def initialize(state: Path | None) -> None:
    """Begin with nothing learned."""
    folder = _folder(state)
    if folder.exists() and any(child.name.split("-")[0] != LABELS for child in folder.iterdir()):
        raise UserError(f"{folder} holds more than a former run of this; name another folder with --state")
    shutil.rmtree(folder, ignore_errors=True)
    LabelStore.open(folder).close()


def classify(file: Path, *, model: Path | None, state: Path | None) -> None:
    """Print the class, spam from even odds on, and the score."""
    _initialized(state)
    layer = learned_layer(_folder(state))
    classifier = Classifier.open(model, personal_features=layer is not None)
    score = classifier.classify(_bytes(file), layer=layer).score or 0.0
    sys.stdout.write(f"class={Label.SPAM if score > 0 else Label.HAM} score={score:.6f}\n")


def train(what: str, file: Path, *, model: Path | None, state: Path | None) -> None:
    """Learn the label of one message."""
    if what not in tuple(Label):
        raise UserError(f"say 'train ham FILE' or 'train spam FILE', not '{what}'")
    _initialized(state)
    raw = _bytes(file)
    with contextlib.closing(LabelStore.open(_folder(state))) as labels:
        trainer = Trainer(labels)
        classifier = Classifier.open(model, personal_features=True)
        base, name = classifier.assess(raw), classifier.bundle.label
        trainer.add_label(raw, Label(what), prior=base.prior, tokens=base.tokens, model=name)
        trainer.keep()


def finalize(state: Path | None) -> None:
    """Nothing is left to do: what was trained is on disk already."""
    _initialized(state)


def _folder(state: Path | None) -> Path:
    return state or Path(FOLDER)


def _initialized(state: Path | None) -> None:
    if not (_folder(state) / LABELS).is_file():
        raise NoInputError(f"{_folder(state)} was not made by 'spamlstm jig initialize'")


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NoInputError(f"{file}: {reason_of(error)}") from error
