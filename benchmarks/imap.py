"""An IMAP account on a real Dovecot. `MODE` is latency or cuts.

latency: the time from the delivery of a spam, and from the moment at which the server tells it, until it is in junk.
         With --check-seconds, the account also asks for new mail at this interval.
cuts:    messages that arrive beside a client that reads, flags and moves, while the connection ends every second or so:
         how many are lost or doubled (exit status 1 if any).
"""

import argparse
import contextlib
import imaplib
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests/peers"), str(ROOT / "tests/fixtures")]

from clients import marks  # noqa: E402  the folders of the tests must be known first
from dovecot import Dovecot, running  # noqa: E402
from imap_account import SPECIAL, CuttingProxy, cut_again_and_again, served, shown_by  # noqa: E402
from tiny_bundle import make  # noqa: E402
from watching import on_disk  # noqa: E402

from spamlstm.model.registry import find_bundle  # noqa: E402

# Of any model, with certainty: the test string for spam filters.
SPAM = (
    b"From: a@example.org\r\nTo: b@example.org\r\nDate: Sat, 28 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%d@x>\r\n"
    b"Subject: test %d\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
)


@contextlib.contextmanager
def idling(server: Dovecot) -> Iterator[list[float]]:
    """Give the times at which a second client is told that a message is new."""
    told: list[float] = []
    with server.session() as session:
        session.select("INBOX")
        session.send(b"idle1 IDLE\r\n")

        def listen() -> None:
            with contextlib.suppress(OSError, ValueError):
                while line := session.readline():
                    if line.endswith(b"EXISTS\r\n"):
                        told.append(time.perf_counter())

        threading.Thread(target=listen, daemon=True).start()
        yield told
        session.sock.shutdown(socket.SHUT_RDWR)


def latency(folder: Path, count: int, model: Path, *, check_seconds: float | None) -> None:
    since_delivery, since_told = [], []
    with running(SPECIAL) as server, served(server, folder, model, check_seconds=check_seconds) as account:
        time.sleep(1)
        for number in range(count):
            with contextlib.suppress(OSError, imaplib.IMAP4.abort), idling(server) as told:
                time.sleep(0.5 + random.random())
                name = f"{1_800_000_000 + number}.M1.bench"
                path = server.maildir / "tmp" / name
                path.write_bytes(SPAM % (number, number))
                path.chmod(0o666)
                began = time.perf_counter()
                path.rename(server.maildir / "new" / name)
                filed = filed_at(server, number + 1)
                since_delivery.append(1000 * (filed - began))
                since_told.append(1000 * (filed - told[0]) if told else 0.0)
        counts = dict(account.tally.judged)
    print(f"{counts}; delivery to filed: p50 {statistics.median(since_delivery):.0f} ms")
    if check_seconds is not None:  # the server may tell others of a message after it was filed, or never
        return
    print(f"told by the server to filed: p50 {statistics.median(since_told):.0f} ms")
    alone = [whole - ours for whole, ours in zip(since_delivery, since_told, strict=True)]
    print(f"delivery to told, the server alone: p50 {statistics.median(alone):.0f} ms")


def filed_at(server: Dovecot, count: int) -> float:
    """Return when junk has `count` messages."""
    junk = server.maildir / ".Junk"
    while sum(1 for part in ("new", "cur") for _ in (junk / part).iterdir()) < count:
        time.sleep(0.001)
    return time.perf_counter()


def cuts(folder: Path, count: int, model: Path) -> int:
    with running(SPECIAL) as server, CuttingProxy(server.port) as proxy:
        with served(server, folder, model, port=proxy.port) as account:
            over = threading.Event()
            clients = [
                threading.Thread(target=client, args=(server, over)),
                threading.Thread(target=cut_again_and_again, args=(account, proxy, over), kwargs={"longest": 1.5}),
            ]
            for one in clients:
                one.start()
            for number in range(count):
                server.deliver(number)
                time.sleep(0.02)
            waited = time.monotonic()
            while spam_in_inbox(server) and time.monotonic() - waited < 300:
                time.sleep(0.5)
            over.set()
            for one in clients:
                one.join()
            proxy.at = None
            account.visited()
            connections, settled = account.tally.connections, dict(account.tally.settled)
        found = Counter(mark for folder_marks in shown_by(server).values() for mark in folder_marks)
        inbox = len(on_disk(server.maildir))
    lost = sorted(set(range(count)) - found.keys())
    doubled = sorted(mark for mark, times in found.items() if times > 1)
    print(f"{count} messages, {connections} connections, interrupted moves {settled}, {inbox} left in the inbox")
    print(f"lost {len(lost)} {lost[:10]}, doubled {len(doubled)} {doubled[:10]}")
    return 1 if lost or doubled else 0


def spam_in_inbox(server: Dovecot) -> bool:
    return any(mark % 3 == 1 for mark in shown_by(server)["INBOX"])


def client(server: Dovecot, over: threading.Event) -> None:
    """Read and flag messages, and move one in twelve, before or after it was classified."""
    with server.session() as session:
        while not over.wait(0.1):
            session.select("INBOX")
            for uid, mark in list(marks(session).items())[-50:]:
                if mark % 12 in (4, 5):
                    session.uid("MOVE", str(uid), "Archive")
                elif random.random() < 0.1:
                    session.uid("FETCH", str(uid), "(BODY[])")
                    session.uid("STORE", str(uid), "+FLAGS", random.choice([r"(\Flagged)", r"(\Answered)"]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("latency", "cuts"))
    parser.add_argument("--count", type=int)
    parser.add_argument("--check-seconds", type=float, help="the setting of the account, for latency")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        state = Path(name) / "state"
        if arguments.mode == "latency":
            latency(state, arguments.count or 30, find_bundle(None), check_seconds=arguments.check_seconds)
            return 0
        return cuts(state, arguments.count or 2000, make(Path(name) / "tiny"))


if __name__ == "__main__":
    sys.exit(main())
