"""Learning from moves, without the daemon: processor time in milliseconds.

visit   one Maildir with old mail: the first visit, and visits without change, after a delivery and after a move
copies  second copies of messages: the labels that follow although nobody moved anything; and the ways in which servers
        and mail programs change a message that are recognized when its user takes it out of the junk folder
ids     the content id of a message of an archive: its processor time, beside that of the former content id
layers  many Maildirs with label stores of their own: the time to get a layer that is not in memory
"""

import argparse
import contextlib
import itertools
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measurement import make_maildir, read_mail

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/fixtures"))

import second_copies
from changed_mail import MAILS, WAYS
from inbox import close_journals
from maildirs import make
from tracked_maildir import TrackedMaildir

from spamlstm.config import Config, LabelScope, MaildirConfig
from spamlstm.filtering.journal import Journal
from spamlstm.learning.label import Label
from spamlstm.maildir.content_id import content_id, former_content_ids
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
    parser.add_argument("what", choices=["visit", "copies", "ids", "layers"])
    parser.add_argument(
        "--messages", type=int, default=50_000, help="in each of the inbox, the junk folder, an archive"
    )
    parser.add_argument("--maildirs", type=int, default=30)
    parser.add_argument("--labels", type=int, default=200, help="of each Maildir")
    parser.add_argument("--archive", type=Path, help="a corpus archive or folder, for `ids`")
    parser.add_argument("--folder", type=Path, help="parent folder of all files, to measure another disk")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spamlstm-", dir=arguments.folder) as name:
        {"visit": visit, "copies": copies, "ids": ids, "layers": layers}[arguments.what](Path(name), arguments)


def message(number: int) -> bytes:
    return b"Message-ID: <%d@mx>\r\n%s" % (number, MAIL[number % len(MAIL)])


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


def copies(folder: Path, _arguments: argparse.Namespace) -> None:
    logging.disable(logging.CRITICAL)

    def played(name: str, play: Callable[[TrackedMaildir], bool]) -> bool:
        """Return the result of `play` with an empty Maildir that has an archive and a junk folder."""
        one = TrackedMaildir(make(folder / name / "Maildir"), folder / name / "state").visited()
        try:
            return play(one)
        finally:
            one.label_stores.close()
            one.mailbox_state.close()
            close_journals()

    def is_wrong(scenario: str, pattern: str) -> Callable[[TrackedMaildir], bool]:
        def play(one: TrackedMaildir) -> bool:
            expected = second_copies.play(scenario, pattern, one)
            return one.labels() != {content_id(raw): label for raw, label in expected.items()}

        return play

    wrong = {
        scenario
        for number, (scenario, pattern) in enumerate(itertools.product(second_copies.SCENARIOS, second_copies.PATTERNS))
        if played(f"copies{number}", is_wrong(scenario, pattern))
    }
    recognized = {
        way
        for number, way in enumerate(WAYS)
        if all(
            played(
                f"way{number}{mail}", lambda one, mail=mail, way=way: second_copies.take_back_changed(one, mail, way)
            )
            for mail in MAILS
        )
    }
    print(f"second copies: labels follow in {len(wrong)} of {len(second_copies.SCENARIOS)} scenarios", *sorted(wrong))
    print(
        f"changed messages: {len(recognized)} of {len(WAYS)} ways recognized; not:", *sorted(WAYS.keys() - recognized)
    )


def ids(_folder: Path, arguments: argparse.Namespace) -> None:
    mail = [one.raw for one in read_mail(arguments.archive, most=3000)]
    for name, function in (("content id", content_id), ("former", former_content_ids)):
        took = []
        for _ in range(3):
            began = time.process_time()
            for raw in mail:
                function(raw)
            took.append(1e6 * (time.process_time() - began) / len(mail))
        print(f"{name}: {min(took):.0f} µs for each of {len(mail):,} messages")
    large = (
        b"From: a@x.org\nContent-Transfer-Encoding: base64\n\n" + b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpB\n" * 1_800_000
    )
    began = time.process_time()
    content_id(large)
    print(f"a message of {len(large) >> 20} MB: {time.process_time() - began:.2f} s")


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
