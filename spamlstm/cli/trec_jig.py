"""`spamlstm trec-jig`: the four commands that the TREC spam track toolkit calls to test a filter.

The TREC 2005-2007 Spam Tracks call their test driver "the jig" (https://plg.uwaterloo.ca/~gvcormac/jig/). The jig
calls these commands:

    initialize                begin a run without labels
    classify FILE             print class=ham|spam score=S
    train ham|spam FILE       learn one message
    finalize                  end the run

The four commands share a state folder. By default this is ./spamlstm-jig, because the jig expects state in the current
folder. The user's own state folder is never used.
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
    typer.Option("--state", metavar="DIR", show_default=False, help=f"Folder of the run's labels [default: ./{RUN}]"),
]
OneMessageArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A file with one message.")]

jig_app = commands(help="Commands that the TREC spam track toolkit calls.", no_args_is_help=True)


@command(jig_app, "initialize", "spamlstm trec-jig initialize")
def initialize_run(state: RunOption = RUN) -> None:
    """Begin a run with no labels. An earlier run in the same folder is removed."""
    from spamlstm.config.locations import LABELS
    from spamlstm.learning.label_store import LabelStore

    if state.exists() and any(child.name.split("-")[0] != LABELS for child in state.iterdir()):
        raise UserError(f"{state} contains files that do not belong to a run; name another folder with --state")
    shutil.rmtree(state, ignore_errors=True)
    LabelStore.open(state).close()


@command(jig_app, "classify", "spamlstm trec-jig classify message")
def classify_message(file: OneMessageArgument, *, model: ModelOption = None, state: RunOption = RUN) -> None:
    """Classify one message and print class=ham|spam score=S.

    The score is the log-odds of spam. The class is spam if the score is above 0, which means a probability above 50 %.
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
    label: Annotated[str, typer.Argument(metavar="ham|spam", help="The label of the message.")],
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
        trainer.save_layer()


@command(jig_app, "finalize", "spamlstm trec-jig finalize")
def finalize_run(state: RunOption = RUN) -> None:
    """End a run. Only checks that there is a run, because all labels are already stored."""
    _check(state)


def _check(state: Path) -> None:
    """Raise NoInputError if no run was begun in the folder."""
    from spamlstm.config.locations import LABELS

    if not (state / LABELS).is_file():
        raise NoInputError(f"there is no run in {state}; first run: spamlstm trec-jig initialize")
