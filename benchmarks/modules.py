"""The modules of spamlstm that one delivery passes through: those with a function that is called on its way.

    python benchmarks/modules.py [--labels]

One spam message is delivered into a watched Maildir, found by `Pipeline.scan`, judged by the shipped model, tagged and
filed by `Pipeline.process`. Another one goes the same way before, so that what is loaded once does not count. With
--labels its user has labelled mail, and a personal layer judges too. Class bodies and module bodies do not count.
"""

import argparse
import contextlib
import inspect
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from measurement import make_maildir

import spamlstm
from spamlstm.config import Config, LabelScope, MaildirConfig
from spamlstm.filtering.counters import Counters
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.pipeline import Pipeline
from spamlstm.learning.label import Label
from spamlstm.model.classifier import Classifier
from spamlstm.model.reading import GTUBE
from spamlstm.tracking.label_stores import LabelStores

PACKAGE = Path(spamlstm.__file__).parent


@contextlib.contextmanager
def called() -> Iterator[Counter[str]]:
    """Count the calls of functions by module, in the block and in all threads that it starts."""
    calls: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        # Only functions have fast local variables: module and class bodies do not.
        if event == "call" and code.co_flags & inspect.CO_OPTIMIZED:
            calls[code.co_filename] += 1

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield calls
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def one_delivery(root: Path, pipeline: Pipeline, name: str) -> None:
    """Deliver a spam message, and judge, tag and file it."""
    path = root / "new" / name
    path.write_text(f"Received: by mx id {name}\nFrom: Ann <ann@example.org>\nSubject: a letter\n\n{GTUBE}\n")
    (outcome,) = pipeline.process(pipeline.scan(str(root)))
    if outcome.actions != ("tag", "file"):
        raise SystemExit(f"the message was not tagged and filed: {outcome}")


def measured(state: Path, *, labels: bool) -> list[str]:
    """Return the modules, as paths below the package, in the order of their names."""
    root = state / "Maildir"
    make_maildir(root)
    classifier = Classifier.open(personal_features=True)
    with contextlib.ExitStack() as stack:
        stores = LabelStores(state, base=classifier, scope=LabelScope.SHARED)
        stack.callback(stores.close)
        journal = Journal.open(state)
        stack.callback(journal.close)
        if labels:
            stores.add_label(str(root), b"Subject: a label\n\nSome words that a user has labelled.\n", Label.HAM)
        pipeline = Pipeline(
            config=Config(maildirs=(MaildirConfig(str(root)),)),
            classifier=classifier,
            journal=journal,
            counters=Counters(),
            layer_of=stores.layer if labels else _nobody,
        )
        pipeline.scan(str(root))
        one_delivery(root, pipeline, "1.host")
        with called() as calls:
            one_delivery(root, pipeline, "2.host")
    paths = (Path(name) for name in calls if not name.startswith("<"))
    return sorted(
        str(path.relative_to(PACKAGE)) for path in paths if path.is_relative_to(PACKAGE) and path.stem != "__init__"
    )


def _nobody(_maildir: str) -> None:
    """No user has labelled anything."""


def main(arguments: list[str] | None = None, *, show: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", action="store_true", help="with a personal layer")
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), labels=parser.parse_args(arguments).labels)
    for name in found:
        show(name)
    show(f"{len(found)} modules")


if __name__ == "__main__":
    main()
