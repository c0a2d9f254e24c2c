"""Learning from moves, without the daemon: processor time in milliseconds.

visit   one Maildir with old mail: the first visit, and visits without change, after a delivery and after a move
layers  many Maildirs with label stores of their own: the time to get a layer that is not in memory
"""

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measurement import make_maildir

from spamlstm.config import Config, LabelScope, MaildirConfig
from spamlstm.filtering.journal import Journal
from spamlstm.learning.label import Label
from spamlstm.maildir.junk_folder import create_folder
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.model.classifier import Classifier
from spamlstm.tracking.label_stores import LabelStores
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.tracker import Tracker

ROOT = Path(__file__).resolve().parent.parent
MAIL = [path.read_bytes() for path in sorted((ROOT / "docs/demo").glob("*.eml"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["visit", "layers"])
    parser.add_argument(
        "--messages", type=int, default=50_000, help="in each of the inbox, the junk folder, an archive"
    )
    parser.add_argument("--maildirs", type=int, default=30)
    parser.add_argument("--labels", type=int, default=200, help="of each Maildir")
    parser.add_argument("--folder", type=Path, help="parent folder of all files, to measure another disk")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spamlstm-", dir=arguments.folder) as name:
        {"visit": visit, "layers": layers}[arguments.what](Path(name), arguments)


def message(number: int) -> bytes:
    return b"Received: by mx with id m%d\r\n%s" % (number, MAIL[number % len(MAIL)])


def milliseconds(act: Callable[[], object]) -> str:
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    cpu, wall = 1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - wall)
    return f"{cpu:9.2f} ms of processor time, {wall:9.2f} by the clock"


def visit(folder: Path, arguments: argparse.Namespace) -> None:
    root = folder / "Maildir"
    make_maildir(root)
    boxes = [root, root / ".Junk", root / ".Archive"]
    for box in boxes:
        if box != root:
            with OpenMaildir.open(str(root)) as mailbox:
                create_folder(mailbox.folder(box.name))
        for number in range(arguments.messages):
            path = box / "cur" / f"{number}.old,S=5000:2,S"
            path.write_bytes(message(number)[:3000])
    classifier = Classifier.open(personal_features=True)
    with contextlib.ExitStack() as stack:
        journal, mailbox_state = Journal.open(folder / "state"), MailboxState.open(folder / "state")
        label_stores = LabelStores(folder / "state", base=classifier, scope=LabelScope.SHARED)
        for one in (journal, mailbox_state, label_stores):
            stack.callback(one.close)
        config = Config(maildirs=(MaildirConfig(str(root)),))
        # The clock is ahead of the files, so that times of folders are trusted at once.
        tracker = Tracker(
            config=config,
            mailbox_state=mailbox_state,
            journal=journal,
            label_stores=label_stores,
            clock=lambda: time.time() + 10,
        )

        def once() -> None:
            for _ in tracker.visit(str(root)):
                pass

        print("first visit              ", milliseconds(once))
        print("without change           ", milliseconds(once))
        for number in range(3):
            (root / "new" / f"{number}.mx").write_bytes(message(900_000 + number))
            print("after a delivery         ", milliseconds(once))
        for number in range(3):
            (root / "new" / f"{number}.mx").rename(root / ".Junk" / "cur" / f"{number}.mx:2,S")
            print("after a move, with label ", milliseconds(once))
        size = sum(path.stat().st_size for path in (folder / "state").glob("mailbox_state.sqlite*"))
        print(f"the mailbox state takes {size / 1e6:.1f} MB for {3 * arguments.messages} messages")


def layers(folder: Path, arguments: argparse.Namespace) -> None:
    classifier = Classifier.open(personal_features=True)
    with contextlib.closing(LabelStores(folder, base=classifier, scope=LabelScope.PER_MAILDIR)) as label_stores:
        names = [f"/mail/{number}" for number in range(arguments.maildirs)]
        for number in range(arguments.labels):
            for name in names[:1] if number else names:
                label_stores.add_label(name, message(number), (Label.SPAM, Label.HAM)[number % 2])
        # All but the first have one label. The first layer is rarely used, so that it leaves the memory.
        took = []
        for _ in range(5):
            for name in names[1:]:
                label_stores.layer(name)
            began = time.perf_counter()
            label_stores.layer(names[0])
            took.append(1000 * (time.perf_counter() - began))
        print(f"a layer of {arguments.labels} labels that is not in memory: {statistics.median(took):.1f} ms")
        began = time.perf_counter()
        for _ in range(1000):
            label_stores.layer(names[0])
        print(f"one that is: {time.perf_counter() - began:.3f} ms")


if __name__ == "__main__":
    main()
