"""Postfix with the milter, which only root can start, and the milter alone. `MODE` is speed, kill, scores or fuzz.

speed:  messages a second that Postfix takes and delivers into a Maildir, each with an fsync: with the milter, with one
        that reads nothing, and without any, in turns; and the processor time of a message, which depends less on what
        else the machine does. With --tls, the clients encrypt, as most mail servers do.
kill:   the daemon is killed half-way and started again; ends with an error if a message is lost or delivered twice, or
        if the queue is not empty a minute after the last message.
scores: the points of each message from the milter and from its file in the Maildir; ends with an error if they differ
        by more than a tenth, which the other messages in the same run of the network can change.

fuzz:   sessions of packets in any order, cut, and with changed bytes; ends with an error if an answer is not a packet
        of the protocol or the daemon reports a bug.

The mail is that of an archive, or generated.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import re
import signal
import smtplib
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "peers"), str(ROOT / "tests" / "fixtures")]

from listening import exchange  # noqa: E402
from measurement import argument_parser, read_mail  # noqa: E402
from mta import CLIENT, packet  # noqa: E402
from postfix import Postfix, running_postfix  # noqa: E402

from spamlstm.maildir.headers import points, untag  # noqa: E402
from spamlstm.model.classifier import Classifier  # noqa: E402

WORDS = "the minutes of monday are below please read them before our meeting cheap offer order invoice team".split()
FILTERED = """
smtpd_milters = unix:{folder}/milter.sock
milter_default_action = accept
milter_connect_timeout = 5s
milter_content_timeout = 30s
"""


def generated(count: int) -> list[bytes]:
    """Return messages of about 3 KB."""
    randomly = random.Random(1)
    head = "From: ann@example.org\r\nTo: bob@example.net\r\nSubject: Minutes\r\n\r\n"
    bodies = ("".join(" ".join(randomly.choices(WORDS, k=12)) + "\r\n" for _ in range(40)) for _ in range(count))
    return [(head + body).encode() for body in bodies]


def ticks(path: Path) -> list[int]:
    """Return the processor time of a process or thread: user, system, and both of its children that have ended."""
    return [int(field) for field in path.read_text().rpartition(")")[2].split()[11:15]]


def processor_seconds(process: int) -> float:
    """Return the processor time of a process and its children, also those that have ended."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            if int(path.parent.name) == process:
                total += sum(ticks(path))
            elif parent == process:
                total += sum(ticks(path)[:2])
    return total / os.sysconf("SC_CLK_TCK")


def main_thread_seconds(process: int) -> float:
    """Return the processor time of the main thread of a process. In the daemon, it classifies."""
    return sum(ticks(Path(f"/proc/{process}/task/{process}/stat"))[:2]) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def daemon(folder: Path, server: Postfix) -> Iterator[subprocess.Popen[str]]:
    """Run a daemon with the shipped model, ready."""
    listen = f'listen = "unix:{server.folder}/milter.sock"\ngroup = "postfix"\n'
    (folder / "config.toml").write_text(f"[milter]\n{listen}")
    with started(folder) as process:
        yield process


@contextlib.contextmanager
def started(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a daemon with the configuration in a folder, ready."""
    command = [sys.executable, "-m", "spamlstm", "run", "--config", folder / "config.toml", "--state", folder / "state"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if " ready " in line:
                break
        yield process
        process.terminate()
        process.stderr.read()


Opened = Callable[[Postfix], contextlib.AbstractContextManager[smtplib.SMTP]]


@contextlib.contextmanager
def plain(server: Postfix) -> Iterator[smtplib.SMTP]:
    """Give a client as it is: with the XCLIENT of `Postfix.session`, Postfix would begin two sessions with a milter."""
    with smtplib.SMTP("127.0.0.1", server.port, local_hostname="mail.example.com", timeout=60) as client:
        yield client


@contextlib.contextmanager
def encrypted(server: Postfix) -> Iterator[smtplib.SMTP]:
    """Give a client that encrypts and, as most mail servers, does not check the certificate."""
    with plain(server) as client:
        client.starttls()
        yield client


def send_all(
    server: Postfix,
    mails: list[bytes],
    connections: int,
    sent: Callable[[], None] = lambda: None,
    *,
    opened: Opened = Postfix.session,
) -> None:
    """Send each message in a connection of its own, as most of the mail of other servers comes."""

    def one(pair: tuple[int, bytes]) -> None:
        number, mail = pair
        with opened(server) as client:
            client.sendmail("ann@example.org", ["bob@example.net"], b"X-Mark: %d\r\n" % number + mail)
        sent()

    with ThreadPoolExecutor(connections) as pool:
        collections.deque(pool.map(one, enumerate(mails)), maxlen=0)


def wait_for_queue(server: Postfix, seconds: float) -> float:
    began = time.monotonic()
    while server.queue():
        if time.monotonic() - began > seconds:
            raise SystemExit(f"the queue is not empty after {seconds:.0f} s: {server.queue()}")
        time.sleep(0.05)
    return time.monotonic() - began


@dataclass(frozen=True)
class Round:
    """Messages a second, and milliseconds of processor time of a message: of Postfix, and of the client."""

    rate: float
    postfix: float
    client: float


def measured(server: Postfix, mails: list[bytes], connections: int, opened: Opened) -> Round:
    """Send messages, wait until all are in the Maildir, and empty it."""
    master = int((server.folder / "queue" / "pid" / "master.pid").read_text())
    before, client, began = processor_seconds(master), time.process_time(), time.monotonic()
    send_all(server, mails, connections, opened=opened)
    wait_for_queue(server, 60)
    taken, client = time.monotonic() - began, time.process_time() - client
    postfix = processor_seconds(master) - before
    delivered = list((server.maildir / "new").iterdir())
    if len(delivered) != len(mails):
        raise SystemExit(f"{len(mails)} messages were sent and {len(delivered)} delivered")
    for path in delivered:
        path.unlink()
    count = len(mails)
    return Round(count / taken, 1000 * postfix / count, 1000 * client / count)


@contextlib.contextmanager
def bare_milter(server: Postfix) -> Iterator[subprocess.Popen[str]]:
    """Run a milter that reads nothing."""
    command = [sys.executable, ROOT / "benchmarks" / "bare_milter.py", server.folder / "milter.sock"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        yield process
        process.terminate()


def speed(folder: Path, mails: list[bytes], given: argparse.Namespace) -> None:
    opened, shares = encrypted if given.tls else plain, collections.defaultdict(list)
    with (
        running_postfix(FILTERED) as filtered,
        running_postfix(FILTERED) as other,
        running_postfix("") as unfiltered,
        daemon(folder, filtered) as process,
        bare_milter(other) as bare,
    ):
        for server in (filtered, other, unfiltered):
            measured(server, mails[:100], given.connections, opened)  # starts the processes of Postfix
        for _ in range(given.rounds):
            without = measured(unfiltered, mails, given.connections, opened)
            before = processor_seconds(process.pid), main_thread_seconds(process.pid)
            ours = measured(filtered, mails, given.connections, opened)
            daemon_ = 1000 * (processor_seconds(process.pid) - before[0]) / len(mails)
            classifying = 1000 * (main_thread_seconds(process.pid) - before[1]) / len(mails)
            before_bare = processor_seconds(bare.pid)
            least = measured(other, mails, given.connections, opened)
            protocol = 1000 * (processor_seconds(bare.pid) - before_bare) / len(mails)
            for name, one, milter in (("ours", ours, daemon_), ("bare", least, protocol)):
                total = without.postfix + without.client
                shares[f"{name}: share of the rate"].append(one.rate / without.rate)
                shares[f"{name}: by processor time"].append(total / (one.postfix + one.client + milter))
                shares[f"{name}: by that of the server alone"].append(without.postfix / (one.postfix + milter))
            print(
                f"with the milter {ours.rate:.0f} a second (Postfix {ours.postfix:.1f} ms, client {ours.client:.1f} ms,"
                f" classifying {classifying:.1f} ms, protocol {daemon_ - classifying:.1f} ms);\n"
                f"  with one that reads nothing {least.rate:.0f} (Postfix {least.postfix:.1f} ms,"
                f" client {least.client:.1f} ms, protocol {protocol:.1f} ms);"
                f" without {without.rate:.0f} (Postfix {without.postfix:.1f} ms, client {without.client:.1f} ms)",
                flush=True,
            )
    shown = ", ".join(f"{name} {100 * statistics.median(some):.0f} %" for name, some in shares.items())
    print(f"median {shown}; load {os.getloadavg()[0]:.1f}")


def scores(folder: Path, mails: list[bytes], given: argparse.Namespace) -> None:
    classifier = Classifier.open()
    threshold = classifier.policy.thresholds.spam
    different = []
    with running_postfix(FILTERED) as server, daemon(folder, server):
        send_all(server, mails, given.connections)
        wait_for_queue(server, 60)
        for path in (server.maildir / "new").iterdir():
            raw = path.read_bytes()
            ours = re.search(rb"(?m)^X-Spam-Status: \S+ score=(\S+) ", raw)[1].decode()
            theirs = f"{points(classifier.classify(untag(raw)), spam_threshold=threshold):.1f}"
            if ours != theirs:
                different.append(abs(float(ours) - float(theirs)))
    most = max(different, default=0.0)
    print(f"{len(mails)} messages, {len(different)} with other points in the Maildir, by at most {most:.1f}")
    if most > 0.11:
        raise SystemExit(1)


def kill(folder: Path, mails: list[bytes], given: argparse.Namespace) -> None:
    half, late, again, lock, sent = threading.Event(), threading.Event(), threading.Event(), threading.Lock(), [0]

    def count() -> None:
        with lock:
            sent[0] += 1
        if sent[0] >= len(mails) // 2:
            half.set()
        if sent[0] >= 3 * len(mails) // 4:  # the last quarter waits for the daemon
            late.set()
            again.wait()

    with running_postfix(FILTERED) as server, ThreadPoolExecutor(1) as pool:
        with daemon(folder, server) as first:
            sending = pool.submit(send_all, server, mails, given.connections, count)
            half.wait()
            first.send_signal(signal.SIGKILL)
            killed = sent[0]
        with daemon(folder, server):
            late.wait()
            again.set()
            print(f"killed after {killed} messages, ready again after {sent[0]} or more")
            sending.result()
            print(f"queue empty {wait_for_queue(server, 60):.1f} s after the last message")
            delivered = [path.read_bytes() for path in (server.maildir / "new").iterdir()]
    marks = collections.Counter(int(re.search(rb"(?m)^X-Mark: (\d+)", one)[1]) for one in delivered)
    lost, twice = set(range(len(mails))) - set(marks), [mark for mark, times in marks.items() if times > 1]
    judged = sum(b"\nX-Spam-Checker-Version: spamlstm " in one for one in delivered)
    print(f"{len(delivered)} delivered, {judged} with our headers, {len(lost)} lost, {len(twice)} doubled")
    if lost or twice:
        raise SystemExit(f"lost: {sorted(lost)}; doubled: {twice}")


def session(randomly: random.Random) -> bytes:
    """Return the packets of a session, most of which a mail server could send."""
    words = [b"a", b"<bob@example.net>", b"X-Spam-Flag", b"i", b"_", b"", b"\r\n", b"SMTPUTF8", b"x" * 2000]
    packets = [packet(b"O", struct.pack("!III", randomly.choice((2, 6)), 0x1FF, randomly.choice((0, 0x1FFFFF))))]
    for _ in range(randomly.randrange(25)):
        letter = randomly.choice(b"CHMRDLLLNBBEEEATUK" if randomly.random() < 0.95 else range(256))
        data = b"".join(word + b"\0" for word in randomly.choices(words, k=randomly.choice((0, 1, 2, 2, 3))))
        if randomly.random() < 0.1:
            data = randomly.choice((CLIENT, randomly.randbytes(20)))
        packets.append(packet(bytes([letter]), data))
    sent = b"".join(packets)
    if randomly.random() < 0.1:
        sent = bytes(randomly.randrange(256) if randomly.random() < 0.02 else byte for byte in sent)
    return sent[: randomly.randrange(len(sent))] if randomly.random() < 0.1 else sent


def fuzz(folder: Path, _mails: list[bytes], given: argparse.Namespace) -> None:
    randomly, verdicts = random.Random(1), 0
    (folder / "config.toml").write_text(f'[milter]\nlisten = "unix:{folder}/milter.sock"\n')
    with started(folder) as process:
        before = resident(process.pid)
        for _ in range(given.count):
            request = session(randomly)
            answers = exchange(f"{folder}/milter.sock", request)
            while answers:
                (length,) = struct.unpack("!I", answers[:4])
                if len(answers) < 4 + length or answers[4:5] not in b"Ocmiy":
                    raise SystemExit(f"{request!r} got {answers!r}")
                verdicts += answers[4:5] == b"c"
                answers = answers[4 + length :]
        print(f"{given.count} sessions, {verdicts} answers; memory +{resident(process.pid) - before:.1f} MB")
        command = [sys.executable, "-m", "spamlstm", "status", "--json", "--state", folder / "state"]
        status = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        print(status["listeners"]["milter"])
        if status["listeners"]["milter"]["errors"]:
            raise SystemExit(1)


def resident(process: int) -> float:
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1]) / 1024


MODES = {"fuzz": fuzz, "speed": speed, "kill": kill, "scores": scores}


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("archive", type=Path, nargs="?", help="a corpus archive or folder [default: generated mail]")
    parser.add_argument("--count", type=int, help="messages [default: 1000] or sessions [100,000]")
    parser.add_argument("--connections", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tls", action="store_true", help="speed: the clients encrypt")
    given = parser.parse_args()
    given.count = given.count or (100_000 if given.mode == "fuzz" else 1000)
    if given.mode == "fuzz":
        mails = []
    elif given.archive is None:
        mails = generated(given.count)
    else:
        read = (one.raw.removesuffix(b"\n") for one in read_mail(given.archive, most=given.count))
        mails = [re.sub(rb"\A>?From .*\n", b"", one) for one in read]
    with tempfile.TemporaryDirectory() as folder:
        MODES[given.mode](Path(folder), mails, given)


if __name__ == "__main__":
    main()
