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
from typing import Annotated

import typer

from spamlstm.cli.options import ModelOption, command, commands
from spamlstm.errors import NoInputError, UserError, reading

RUN = Path("spamlstm-jig")
RunOption = Annotated[
    Path,
    typer.Option("--state", metavar="DIR", show_default=False, help=f"State directory of the run [default: ./{RUN}]"),
]
OneMessageArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A file with one message.")]

jig_app = commands(help="Take part in a run of the TREC spam track's toolkit.", no_args_is_help=True)


@command(jig_app, "initialize", "spamlstm trec-jig initialize")
def initialize_run(state: RunOption = RUN) -> None:
    """Begin a run with nothing learned."""
    from spamlstm.config.locations import LABELS
    from spamlstm.learning.label_store import LabelStore

    if state.exists() and any(child.name.split("-")[0] != LABELS for child in state.iterdir()):
        raise UserError(f"{state} holds other files than those of a run; name another folder with --state")
    shutil.rmtree(state, ignore_errors=True)
    LabelStore.open(state).close()


@command(jig_app, "classify", "spamlstm trec-jig classify message")
def classify_message(file: OneMessageArgument, *, model: ModelOption = None, state: RunOption = RUN) -> None:
    """Print class=ham or class=spam, and score=S.

    The class is spam if the score is above 0, which means even odds.
    """
    from spamlstm.learning.trainer import learned_layer
    from spamlstm.model.classifier import Classifier

    _check(state)
    layer = learned_layer(state)
    classifier = Classifier.open(model, personal_features=layer is not None)
    with reading(file):
        raw = file.read_bytes()
    score = classifier.classify(raw, layer=layer).score or 0.0
    sys.stdout.write(f"class={'spam' if score > 0 else 'ham'} score={score:.6f}\n")


@command(jig_app, "train", "spamlstm trec-jig train spam message")
def train_message(
    label: Annotated[str, typer.Argument(metavar="ham|spam", help="What the message is.")],
    file: OneMessageArgument,
    *,
    model: ModelOption = None,
    state: RunOption = RUN,
) -> None:
    """Learn the label of one message."""
    from spamlstm.learning.label import Label
    from spamlstm.learning.label_store import LabelStore
    from spamlstm.learning.trainer import Trainer
    from spamlstm.model.classifier import Classifier

    if label not in tuple(Label):
        raise UserError(f"the label is 'ham' or 'spam', not '{label}'")
    _check(state)
    with reading(file):
        raw = file.read_bytes()
    with contextlib.closing(LabelStore.open(state)) as labels:
        trainer = Trainer(labels)
        classifier = Classifier.open(model, personal_features=True)
        base, name = classifier.assess(raw), classifier.bundle.label
        trainer.add_label(raw, Label(label), prior=base.prior, tokens=base.tokens, model=name)
        trainer.keep()


@command(jig_app, "finalize", "spamlstm trec-jig finalize")
def finalize_run(state: RunOption = RUN) -> None:
    """End a run."""
    _check(state)  # all is on disk already


def _check(state: Path) -> None:
    """Raise NoInputError unless a run was begun."""
    from spamlstm.config.locations import LABELS

    if not (state / LABELS).is_file():
        raise NoInputError(f"there is no run in {state}; first run: spamlstm trec-jig initialize")
