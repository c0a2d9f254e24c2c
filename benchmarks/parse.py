"""The time of parsing, by spamlstm and by the standard library, on real and on hostile mail."""

import argparse
import email
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from spamlstm.corpus import labelled_mail
from spamlstm.message.message import parse_message

TOP = b"From: a@example.org\nSubject: x\nMIME-Version: 1.0\n"
PAGE = TOP + b"Content-Type: text/html\n\n"
HOSTILE = {
    "2,000 nested multiparts": lambda: b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(2000)
    ),
    "2,000 nested forwarded messages": lambda: (TOP + b"Content-Type: message/rfc822\n\n") * 2000,
    "400 nested multiparts around 40,000 lines": lambda: (
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(400))
        + b"\n--x\n" * 40_000
    ),
    "1,000,000 parts": lambda: TOP + b"Content-Type: multipart/mixed; boundary=q\n\n" + b"--q\n\nx\n" * 1_000_000,
    "a message of 50 MB": lambda: TOP + b"\n" + b"hello world this is text\n" * 2_000_000,
    "100,000 nested <div>": lambda: PAGE + b"<div>" * 100_000,
    "3,000 <i id=N> left open": lambda: PAGE + b"".join(b"<p><i id=%d>x" % i for i in range(3000)),
}


def standard(raw: bytes) -> None:
    """Do what `parse_message` does, with the standard library and lexbor without budget: headers, parts, text, HTML."""
    from selectolax.lexbor import LexborHTMLParser  # noqa: PLC0415  loaded late, as by parse_message

    message = email.message_from_bytes(raw)
    list(message.items())
    for part in message.walk():
        if part.get_content_maintype() == "text":
            payload = part.get_payload(decode=True)
            text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
            if part.get_content_subtype() == "html" and (body := LexborHTMLParser(text).body):
                body.text(deep=True)


PARSERS: dict[str, Callable[[bytes], object]] = {"ours": parse_message, "standard library": standard}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="*", type=Path, help="archives or folders of labelled mail")
    parser.add_argument("--most", type=int, default=1000, help="messages of each, sampled at random [default: 1000]")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the fastest counts [default: 5]")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(*arguments.one)
        return
    if arguments.corpora:
        print("| corpus | standard library | ours |\n|---|---|---|")
    for path in arguments.corpora:
        raws = sample(path, arguments.most)
        theirs, ours = (per_message(read, raws, arguments.rounds) for read in (standard, parse_message))
        print(f"| {path.name} | {theirs} | {ours} |")
    print("\n| hostile | standard library | ours |\n|---|---|---|")
    for name in HOSTILE:
        print(f"| {name} | {alone('standard library', name)} | {alone('ours', name)} |")


def sample(path: Path, most: int) -> list[bytes]:
    """Return a random sample of at most `most` messages, the same at each run."""
    order = random.Random(1)
    kept: list[bytes] = []
    for number, message in enumerate(labelled_mail.read_labelled(path)):
        if len(kept) < most:
            kept.append(message.raw)
        elif (index := order.randrange(number + 1)) < most:
            kept[index] = message.raw
    return kept


def per_message(read: Callable[[bytes], object], raws: list[bytes], rounds: int) -> str:
    """Return the processor time per message in the fastest round."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        for raw in raws:
            try:
                read(raw)
            except (LookupError, ValueError, TypeError, AttributeError):
                continue  # the standard library fails with these on real mail
        times.append(time.process_time() - start)
    return f"{min(times) / len(raws) * 1000:.2f} ms"


def alone(which: str, name: str) -> str:
    """Return time and memory of one hostile message in a process of its own, which is ended after a minute."""
    command = [sys.executable, __file__, "--one", which, name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return "more than 60 s"
    return (
        done.stdout.strip()
        or done.stderr.strip().rpartition("\n")[2].partition(":")[0]
        or f"ended with {done.returncode}"
    )


def one(which: str, name: str) -> None:
    raw = HOSTILE[name]()
    parse_message(PAGE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    PARSERS[which](raw)
    spent = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{spent:.2f} s, {grown:.0f} MB")


if __name__ == "__main__":
    main()
