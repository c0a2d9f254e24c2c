"""Two daemons on one mailbox of a real Dovecot, and its user. `OTHER` is the kind of the second daemon.

imap:    a second IMAP account with the same settings.
strict:  a second IMAP account that also files unsure mail, so that the two daemons disagree.
maildir: a daemon on the Maildir of the server.

Messages arrive while the user reads and moves mail, and while the connections of the IMAP accounts end every second or
so. The figures say how many messages are lost or doubled, back in a folder from which the user had moved them, or
labelled although the user has not moved them. The exit status is 1 if any message is lost or moved back, or labelled
for an act of a daemon.
"""

import argparse
import contextlib
import imaplib
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests/peers"), str(ROOT / "tests/fixtures")]

from clients import marks  # noqa: E402  the folders of the tests must be known first
from dovecot import Dovecot, running  # noqa: E402
from imap_account import SPECIAL, CuttingProxy, cut_again_and_again, served, shown_by  # noqa: E402
from tiny_bundle import make  # noqa: E402
from watching import labels_by_mark, message, watching  # noqa: E402

from spamlstm.config import Action  # noqa: E402

# What the user does with one in twelve messages each. Of three messages, one is ham, one spam and one unsure.
MOVES = {3: ("INBOX", "Junk"), 6: ("INBOX", "Archive"), 4: ("Junk", "INBOX"), 5: ("Junk", "INBOX")}
QUIET_SECONDS = 15.0
GTUBE = b"\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"


@dataclass
class User:
    """A user of the mailbox, whose mail program reads all mail and moves some of it once, after a while."""

    server: Dovecot
    over: threading.Event = field(default_factory=threading.Event)
    moved: dict[int, str] = field(default_factory=dict)
    """The folder to which each message was moved."""

    def run(self) -> None:
        """Act until `over` is set."""
        with self.server.session() as session:
            while not self.over.wait(0.2):
                for folder in ("INBOX", "Junk"):
                    session.select(folder)
                    for uid, mark in list(marks(session).items())[-60:]:
                        source, target = MOVES.get(mark % 12, ("", ""))
                        if random.random() < 0.2:
                            session.uid("STORE", str(uid), "+FLAGS", r"(\Seen)")
                        if source == folder and mark not in self.moved and random.random() < 0.3:
                            data = session.uid("MOVE", str(uid), target)[1]
                            if data != [None] or mark in marks_of(session, target):
                                self.moved[mark] = target
                            session.select(folder)


def marks_of(session: imaplib.IMAP4, folder: str) -> set[int]:
    session.select(folder)
    return set(marks(session).values())


@contextlib.contextmanager
def second(kind: str, server: Dovecot, folder: Path, model: Path, port: int) -> Iterator[Callable[[], dict[int, str]]]:
    """Run the second daemon. Give a function that returns its labels by the marks of the messages."""
    if kind == "maildir":
        (folder / "maildir").mkdir()
        with watching(server.maildir, model=model, folder=folder / "maildir") as daemon:
            yield lambda: labels_by_mark(folder / "maildir" / "spamlstm")
        print("failures of the Maildir daemon:", daemon.failures()[:5])
        return
    actions = (Action.KEYWORD, Action.FILE) if kind == "strict" else ()
    with served(server, folder / "two", model, port=port, unsure=actions) as account:
        yield account.labels


def work(folder: Path, *, kind: str, count: int, pace: float) -> int:
    model = make(folder / "tiny")
    with (
        running(SPECIAL) as server,
        CuttingProxy(server.port) as proxy,
        CuttingProxy(server.port) as other_proxy,
        served(server, folder / "one", model, port=proxy.port) as account,
        second(kind, server, folder, model, other_proxy.port) as other_labels,
    ):
        user = User(server)
        threads = [threading.Thread(target=user.run)]
        threads += [
            threading.Thread(target=cut_again_and_again, args=(account, one, user.over), kwargs={"longest": 3.0})
            for one in (proxy, other_proxy)
        ]
        for one in threads:
            one.start()
        for number in range(count):
            # Spam has the test string, so that no label changes its verdict.
            server.deliver(number, raw=message(number) + (GTUBE if number % 3 == 1 else b""))
            time.sleep(pace)
        settle(server)
        user.over.set()
        for one in threads:
            one.join()
        proxy.at = other_proxy.at = None
        settle(server)
        account.visited()
        labels = {"first": account.labels(), "second": other_labels()}
        settled = dict(account.tally.settled)
        found = shown_by(server)
    return reported(found, user.moved, labels, count, settled)


def settle(server: Dovecot) -> None:
    """Wait until nothing has moved for some seconds, at most five minutes."""
    before, since, until = None, time.monotonic(), time.monotonic() + 300
    while time.monotonic() < min(since + QUIET_SECONDS, until):
        now = shown_by(server)
        if now != before:
            before, since = now, time.monotonic()
        time.sleep(0.5)


def reported(
    found: dict[str, list[int]], moved: dict[int, str], labels: dict[str, dict[int, str]], count: int, settled: object
) -> int:
    """Print the figures. Return 1 if any message is lost, moved back or labelled for an act of a daemon."""
    times = Counter(mark for folder in found.values() for mark in folder)
    where = {mark: name for name, folder in found.items() for mark in folder}
    lost = sorted(set(range(count)) - times.keys())
    doubled = sorted(mark for mark, number in times.items() if number > 1)
    back = sorted(mark for mark, target in moved.items() if mark not in found.get(target, ()))
    sizes = ", ".join(f"{len(folder)} in {name}" for name, folder in found.items())
    print(f"{count} messages: {sizes}; the user moved {len(moved)}")
    print(f"interrupted moves {settled}")
    print(f"lost {len(lost)} {lost[:9]}, doubled {len(doubled)} {doubled[:9]}, moved back {len(back)} {back[:9]}")
    wanted = {mark: "spam" if target == "Junk" else "ham" for mark, target in moved.items()}
    wrong_in_all = 0
    for name, given in labels.items():
        wrong = sorted(mark for mark, label in given.items() if wanted.get(mark) != label)
        # A message that is archived unread gives no label.
        missing = sorted(mark for mark, target in moved.items() if target != "Archive" and mark not in given)
        print(
            f"{name} daemon: {len(given)} labels, {len(wrong)} wrong", [(m, given[m], where.get(m)) for m in wrong[:6]]
        )
        print(f"    {len(missing)} moves by the user not learned {missing[:9]}")
        wrong_in_all += len(wrong)
    return 1 if lost or back or wrong_in_all else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", choices=("imap", "strict", "maildir"))
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--pace", type=float, default=0.03, help="seconds between two deliveries")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        return work(Path(name), kind=arguments.other, count=arguments.count, pace=arguments.pace)


if __name__ == "__main__":
    sys.exit(main())
