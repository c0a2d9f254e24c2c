"""`spamlstm trec-jig`: the four programs that the toolkit of the TREC spam track calls to test a filter.

The TREC 2005-2007 Spam Tracks call their test driver "the jig" (https://plg.uwaterloo.ca/~gvcormac/jig/). It expects:

    initialize                begin with nothing learned
    classify FILE             print class=ham|spam score=S
    train ham|spam FILE       learn one message
    finalize                  end

The four share a state folder, by default ./spamlstm-jig, as the jig expects; never the user's own.
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


def initialize_run(state: Path | None) -> None:
    """Remove what an earlier run learned, and make an empty label store."""
    folder = _folder(state)
    if folder.exists() and any(child.name.split("-")[0] != LABELS for child in folder.iterdir()):
        raise UserError(f"{folder} holds other files than those of a run; name another folder with --state")
    shutil.rmtree(folder, ignore_errors=True)
    LabelStore.open(folder).close()


def classify_message(file: Path, *, model: Path | None, state: Path | None) -> None:
    """Print the class, which is spam from even odds on, and the score."""
    _check_initialized(state)
    layer = learned_layer(_folder(state))
    classifier = Classifier.open(model, personal_features=layer is not None)
    score = classifier.classify(_bytes(file), layer=layer).score or 0.0
    sys.stdout.write(f"class={Label.SPAM if score > 0 else Label.HAM} score={score:.6f}\n")


def train_message(label: str, file: Path, *, model: Path | None, state: Path | None) -> None:
    """Learn the label of one message."""
    if label not in tuple(Label):
        raise UserError(f"the label is 'ham' or 'spam', not '{label}'")
    _check_initialized(state)
    raw = _bytes(file)
    with contextlib.closing(LabelStore.open(_folder(state))) as labels:
        trainer = Trainer(labels)
        classifier = Classifier.open(model, personal_features=True)
        base, name = classifier.assess(raw), classifier.bundle.label
        trainer.add_label(raw, Label(label), prior=base.prior, tokens=base.tokens, model=name)
        trainer.keep()


def finalize_run(state: Path | None) -> None:
    """Do nothing: what was learned is on disk already."""
    _check_initialized(state)


def _folder(state: Path | None) -> Path:
    return state or Path(FOLDER)


def _check_initialized(state: Path | None) -> None:
    if not (_folder(state) / LABELS).is_file():
        raise NoInputError(f"there is no run in {_folder(state)}; first run: spamlstm trec-jig initialize")


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NoInputError(f"{file}: {reason_of(error)}") from error
