"""The listeners: time of an answer, slow clients, memory, hostile bytes.

`MODE` is start, times, beside, slow, crowd, memory or fuzz.

start: the least processor time of `spamlstm filter` with a daemon, and of what it does not import, in milliseconds.
times: `spamlstm filter` with and without a daemon, and `spamc -c` one at a time and 20 in parallel, in milliseconds.
beside: `spamc -c` with this daemon and with `spamd -L` of SpamAssassin, which has to be installed: the time of one at a
       time, and the rate of 20 in parallel, in turns.
slow:  for each listener, the time of others and the memory of the daemon while 200 clients of this listener send a
       byte a second, wrong lengths or noise.
crowd: for each listener, the largest memory of the daemon, and the time of another client, while 1,000 clients send a
       whole request of 5 MB or 1 MB at once and read no answer.
memory: the memory of the daemon with all listeners, idle and after messages of all listeners [default: 100,000].
fuzz:  any bytes to each protocol (default: 100,000 in all); ends with an error if a request gets no proper answer.
"""

import argparse
import contextlib
import os
import random
import re
import resource
import selectors
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests" / "fixtures"))

from mta import ACTIONS, CLIENT, STEPS, packet  # noqa: E402

# What pip's start script does.
ENTRY = [sys.executable, "-c", "import re, sys; from spamlstm.cli import main; sys.exit(main())", "filter"]
MAIL = b"From: ann@example.org\nTo: bob@example.net\nSubject: Minutes\n\n" + b"The minutes of Monday are below.\n" * 30
ANSWERS = {"spamd": (b"SPAMD/1.",), "own": (b"OK ", b"ERROR "), "http": (b"HTTP/1.1 ",)}
# Requests to which no answer is a proper answer.
SILENT = {"spamd": rb"SKIP SPAMC/", "own": rb"(?!)", "http": rb"(\r\n)?\Z"}
VERBS = b"CHECK PROCESS TELL HEADERS REPORT REPORT_IFSPAM SYMBOLS PING SKIP FROB".split()
HEADERS = [b"User: ann", b"User: ../x", b"Compress: zlib", b"Message-class: spam", b"Message-class: ham", b"Set: local"]
HEADERS += [b"Remove: local", b"Set: local, remote", b"frob", b"A: b", b": :", b"Compress: gzip", b"User: \xff\0"]
PATHS = [b"/checkv2"] * 8 + [b"/symbols", b"/learnspam", b"/learnham", b"/ping", b"/stat", b"/x", b"/checkv2?a=b"]
HTTP_HEADERS = [b"Password: secret", b"Password: x", b"User: ann", b"Rcpt: a@b, c@d", b"Deliver-To: <../x>", b"frob"]
HTTP_HEADERS += [b"File: /etc/passwd", b"Compression: zstd", b"Expect: 100-continue", b"Connection: close", b"A:\0"]
CROWD_SECONDS = 60.0
REQUEST = b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s" % (len(MAIL), MAIL)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[tuple[int, str, str]]:
    """Run a daemon with the shipped model; gives its process, its spamd socket and its state folder."""
    password = folder / "password"
    password.touch(0o600)
    password.write_text("secret")
    (folder / "config.toml").write_text(
        f'[spamd]\nlisten = "unix:{folder}/spamd"\nallow_tell = true\n'
        f'[http]\nlisten = "unix:{folder}/http"\npassword_file = "{password}"\n'
        f'[milter]\nlisten = "unix:{folder}/milter"\n[filter]\nlisten = "unix:{folder}/own"\n'
    )
    state = folder / "state"
    command = [sys.executable, "-m", "spamlstm", "run", "--config", folder / "config.toml", "--state", state]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                if " ready " in line:
                    break
            yield process.pid, f"{folder}/spamd", str(state)
        finally:
            process.terminate()
            process.stderr.read()


def exchange(path: str, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(path)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while block := client.recv(1 << 16):
                answer += block
    return answer


def milliseconds(call: Callable[[], object], count: int) -> str:
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - began))
    return f"p50 {statistics.median(taken):.1f}, least {min(taken):.1f}"


def memory(process: int, kind: str = "VmRSS") -> float:
    return int(re.search(rf"{kind}:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1]) / 1024


def least_processor_time(command: list[str], count: int) -> str:
    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    taken = []
    for _ in range(count):
        before = spent()
        subprocess.run(command, input=MAIL, cwd=ROOT, capture_output=True, check=True)
        taken.append(1000 * (spent() - before))
    return f"{min(taken):.1f}"


def start(folder: Path, count: int) -> None:
    for code in ("pass", "import re", "import socket", "import typer"):
        print(f"python -c {code!r}:", least_processor_time([sys.executable, "-c", code], count))
    with running(folder) as (_, _, state):
        print("filter, daemon:", least_processor_time([*ENTRY, "--state", state], count))


def times(folder: Path, count: int) -> None:
    def run(*command: str) -> None:
        subprocess.run(command, input=MAIL, cwd=ROOT, capture_output=True, check=True)

    print("python -c pass:", milliseconds(lambda: run(sys.executable, "-c", "pass"), count))
    print("filter, no daemon:", milliseconds(lambda: run(*ENTRY, "--state", str(folder)), max(5, count // 10)))
    with running(folder) as (_, path, state):
        print("filter, daemon:", milliseconds(lambda: run(*ENTRY, "--state", state), count))
        print("spamc -c:", milliseconds(lambda: spamc(path), count))
        print("the same bytes by a socket:", milliseconds(lambda: exchange(path, REQUEST), count))
        print(f"spamc -c, 20 in parallel: {spamc_rate(path, count):.0f} a second")
        with ThreadPoolExecutor(20) as pool:
            began = time.perf_counter()
            for _ in pool.map(lambda _: exchange(path, REQUEST), range(10 * count)):
                pass
            print(f"by a socket, 20 in parallel: {10 * count / (time.perf_counter() - began):.0f} a second")


def spamc(path: str, *, check: bool = True) -> None:
    command = ["spamc", "-c", "-x", "-U", path]
    subprocess.run(command, input=MAIL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=check)


def spamc_rate(path: str, count: int) -> float:
    """Return the messages per second of 20 clients in parallel."""
    with ThreadPoolExecutor(20) as pool:
        began = time.perf_counter()
        for _ in pool.map(lambda _: spamc(path), range(count)):
            pass
        return count / (time.perf_counter() - began)


@contextlib.contextmanager
def spamassassin(folder: Path) -> Iterator[str]:
    """Run `spamd -L` with its default number of children; gives its socket."""
    path = folder / "spamassassin"
    command = ["spamd", "-L", "-x", "--socketpath", path, "--helper-home-dir", folder]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "server started" in line or "server pid" in line:
                break
        if not path.exists():
            sys.exit(f"spamd did not start: {''.join(lines)}")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield str(path)
        process.terminate()


def beside(folder: Path, count: int) -> None:
    with running(folder) as (_, ours, _), spamassassin(folder) as theirs:
        for name, path in (("spamlstm", ours), ("spamd -L", theirs)) * 2:
            alone = milliseconds(lambda path=path: spamc(path), count)
            print(f"{name}: spamc -c {alone} ms; 20 in parallel: {spamc_rate(path, count):.1f} a second")
    print("spamc -c without a daemon:", milliseconds(lambda: spamc(ours, check=False), count), "ms")


def request_of(name: str, mail: bytes) -> bytes:
    """Return the request with which a client of a listener asks about a message, and closes its sending side."""
    match name:
        case "own":
            return b"FILTER %d headers -\n" % len(mail) + mail
        case "http":
            head = b"POST /checkv2 HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(mail)
            return head + mail
        case "milter":
            lines, _, body = mail.partition(b"\n\n")
            headers = [packet(b"L", line.replace(b":", b"\0", 1) + b"\0") for line in lines.split(b"\n")]
            begin = [
                packet(b"O", struct.pack("!III", 6, ACTIONS, STEPS)),
                packet(b"C", CLIENT),
                packet(b"M", b"<a@b>\0"),
            ]
            return b"".join((*begin, *headers, packet(b"B", body), packet(b"E"), packet(b"Q")))
        case _:
            return b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s" % (len(mail), mail)


def slow(folder: Path, count: int) -> None:
    for name in ("own", "spamd", "milter", "http"):
        (folder / name).mkdir()
        with running(folder / name) as (process, path, _):
            slow_clients(name, str(Path(path).with_name(name)), process, count)


def slow_clients(name: str, path: str, process: int, count: int) -> None:
    good = request_of(name, MAIL)
    large = good[:-20] if name == "milter" else request_of(name, b"").replace(b" 0", b" 60000000", 1)
    alone, before = milliseconds(lambda: exchange(path, good), count), memory(process)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(200)]
        for number, client in enumerate(clients):
            client.connect(path)
            client.sendall((good[:30], large)[number % 2])
        taken = []
        for number in range(count):
            if number % 20 == 0:
                for client in clients:
                    with contextlib.suppress(OSError):
                        client.sendall(b"x")
                exchange(path, os.urandom(5000))
            began = time.perf_counter()
            exchange(path, good)
            taken.append(1000 * (time.perf_counter() - began))
        beside = f"p50 {statistics.median(taken):.1f}, least {min(taken):.1f}"
        print(f"{name}: alone {alone}; beside 200 slow clients {beside}; memory +{memory(process) - before:.1f} MB")


def crowd(folder: Path, count: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    for name in ("own", "spamd", "milter", "http"):
        for size in (5_000_000, 1_000_000):
            (folder / f"{name}{size}").mkdir()
            with running(folder / f"{name}{size}") as (process, path, _):
                crowd_of_clients(name, str(Path(path).with_name(name)), process, clients=count, size=size)


def crowd_of_clients(name: str, path: str, process: int, *, clients: int, size: int) -> None:
    mail = MAIL + (b"x" * 77 + b"\n") * (size // 78)
    request = memoryview(request_of(name, mail))
    if name == "milter":  # the body in packets of 64 KB, as from an MTA
        begin, _, _ = request_of(name, MAIL).partition(packet(b"B", MAIL.partition(b"\n\n")[2]))
        body = (packet(b"B", mail[at : at + 65535]) for at in range(0, len(mail), 65535))
        request = memoryview(b"".join((begin, *body, packet(b"E"))))
    good = request_of(name, MAIL)
    exchange(path, good)
    before, stop, taken = memory(process), threading.Event(), []

    def ask() -> None:
        while not stop.wait(0.2):
            start = time.perf_counter()
            with contextlib.suppress(OSError):  # the queue of the kernel is full
                if exchange(path, good):
                    taken.append(time.perf_counter() - start)

    began = time.monotonic()
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector, ThreadPoolExecutor(1) as pool:
        for _ in range(clients):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(0)
            with contextlib.suppress(BlockingIOError):  # the queue of the kernel is full, so the client goes
                client.connect(path)
                selector.register(client, selectors.EVENT_WRITE, [0])
        connected, sent = len(selector.get_map()), 0
        pool.submit(ask)
        while selector.get_map() and time.monotonic() < began + CROWD_SECONDS:
            for key, _ in selector.select(0.1):
                try:
                    key.data[0] += key.fileobj.send(request[key.data[0] : key.data[0] + (1 << 18)])
                except OSError:
                    selector.unregister(key.fileobj)
                else:
                    if key.data[0] == len(request):
                        sent += 1
                        selector.unregister(key.fileobj)
        seconds = time.monotonic() - began
        stop.set()
    waits = f"p50 {statistics.median(taken):.2f} s, most {max(taken):.2f} s" if taken else "none"
    print(f"{name}, {size / 1e6:.0f} MB: {connected} connected, {sent} sent all in {seconds:.0f} s;", end=" ")
    peak = memory(process, "VmHWM")
    print(f"memory {before:.0f} MB, at most {peak:.0f} MB; {len(taken)} others: {waits}", flush=True)


def memory_after(folder: Path, count: int) -> None:
    """Send messages of several sizes to all listeners, four at a time."""
    randomly = random.Random(1)
    words = [bytes(randomly.choices(b"abcdefghijklmnopqrstuvwxyz", k=randomly.randrange(2, 9))) for _ in range(5000)]

    def mail(number: int) -> bytes:
        chance = random.Random(number)
        lines = (b" ".join(chance.choices(words, k=9)) + b"\n" for _ in range(chance.choice((3, 10, 10, 40))))
        return b"From: %d@example.org\nSubject: %s\n\n" % (number, chance.choice(words)) + b"".join(lines)

    with running(folder) as (process, path, _), ThreadPoolExecutor(4) as pool:
        paths = {name: str(Path(path).with_name(name)) for name in ("own", "spamd", "milter", "http")}
        print(f"idle: {memory(process):.1f} MB")
        step = max(1, count // 10)
        for start in range(0, count, step):
            pairs = [(tuple(paths)[number % 4], number) for number in range(start, min(count, start + step))]
            answers = pool.map(lambda pair: exchange(paths[pair[0]], request_of(pair[0], mail(pair[1]))), pairs)
            empty = sum(not answer for answer in answers)
            print(
                f"after {start + len(pairs)} messages: {memory(process):.1f} MB, {empty} without an answer", flush=True
            )


def hostile(name: str, randomly: random.Random) -> bytes:
    """Return a valid request, or one with wrong lengths, other headers, cut, or with changed bytes."""
    mail = randomly.choice([MAIL, b"", b"x", MAIL + b"end", randomly.randbytes(300), zlib.compress(MAIL)])
    length = randomly.choice([len(mail), len(mail), len(mail), 0, 7, len(mail) + 9, -1, 10**9])
    if name == "own":
        form, user = randomly.choice([b"headers", b"bogosity", b"x"]), randomly.choice([b"-", b"ann", b"%zz", b"../x"])
        request = b"FILTER %d %s %s\n" % (length, form, user) + mail
    elif name == "http":
        method, minor = (
            randomly.choice([b"POST"] * 6 + [b"GET", b"HEAD", b"x"]),
            randomly.choice([b"1.1"] * 8 + [b"1.0", b"2"]),
        )
        headers = randomly.sample(HTTP_HEADERS, randomly.choice([0, 0, 0, 1, 3]))
        if randomly.random() < 0.3:
            size = max(1, randomly.randrange(len(mail) + 2))
            pieces = [mail[at : at + size] for at in range(0, len(mail), size)] + [b""] * (length >= 0)
            headers, mail = (
                [*headers, b"Transfer-Encoding: chunked"],
                b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces),
            )
        elif randomly.random() < 0.9:
            headers.append(b"Content-Length: %d" % length)
        request = b"\r\n".join([b"%s %s HTTP/%s" % (method, randomly.choice(PATHS), minor), *headers, b"", mail])
    else:
        verb, version = randomly.choice(VERBS), randomly.choice([b"1.5", b"1.5", b"1.2", b"1.0", b"2.0", b"x"])
        headers = randomly.sample(HEADERS, randomly.randrange(4)) + [b"Content-length: %d" % length] * (
            randomly.random() < 0.8
        )
        request = b"\r\n".join([verb + b" SPAMC/" + version, *headers, b"", mail])
    if randomly.random() < 0.2:
        request = request[: randomly.randrange(len(request))]
    if randomly.random() < 0.2:
        request = bytes(randomly.randrange(256) if randomly.random() < 0.02 else byte for byte in request)
    return request if randomly.random() < 0.95 else randomly.randbytes(randomly.randrange(300))


def fuzz(folder: Path, count: int) -> None:
    randomly = random.Random(1)
    with running(folder) as (process, path, state):
        before = memory(process)
        paths = {"spamd": path, "own": f"{state}/filter.sock", "http": f"{folder}/http"}
        for number in range(count):
            name = tuple(paths)[number % len(paths)]
            request = hostile(name, randomly)
            answer = exchange(paths[name], request)
            proper = answer.startswith(ANSWERS[name]) or (not answer and re.match(SILENT[name], request))
            if not proper:
                raise SystemExit(f"{name}: {request!r} got {answer!r}")
        print(f"{count} requests; memory +{memory(process) - before:.1f} MB")
        command = [sys.executable, "-m", "spamlstm", "status", "--state", state]
        print(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=["start", "times", "beside", "slow", "crowd", "memory", "fuzz"])
    parser.add_argument("--count", type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        modes = {
            "start": (start, 30),
            "times": (times, 100),
            "beside": (beside, 60),
            "slow": (slow, 200),
            "crowd": (crowd, 1000),
        }
        mode, default = (modes | {"memory": (memory_after, 100_000), "fuzz": (fuzz, 100_000)})[given.mode]
        mode(Path(folder), given.count or default)


if __name__ == "__main__":
    main()
