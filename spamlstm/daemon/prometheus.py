"""The numbers for Prometheus: as text, in a file for node_exporter, and at an address of this machine."""

import contextlib
import re
import socket
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from spamlstm.daemon.server import serving
from spamlstm.files import write_file

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# A scrape is asked for and taken within milliseconds.
CLIENT_SECONDS = 5.0
# Prometheus asks in some 300 bytes.
MOST_REQUEST = 8192

# Name, kind, where in the snapshot, the label of a table's keys, help.
_ROWS = (
    ("judged_total", "counter", "mail.judged", "verdict", "Messages judged."),
    ("acted_total", "counter", "mail.acted", "action", "What was done to messages."),
    ("failed_total", "counter", "mail.failed", "kind", "Messages that could not be read, judged or acted on."),
    ("settled_total", "counter", "mail.settled", "outcome", "Acts that were cut short and brought to an end."),
    ("known_total", "counter", "mail.known", "", "Messages that were judged before and left to their user."),
    ("gone_total", "counter", "mail.gone", "", "Messages that others moved or removed first."),
    ("labels", "gauge", "learning.labels", "label", "Labels that were ever said and still hold."),
    ("learned_total", "counter", "learning.moved", "label", "Labels that followed from what users did with mail."),
    (
        "not_learned_total",
        "counter",
        "learning.failed",
        "",
        "Times that labels or folders could not be read.",
    ),
    ("paused_label_stores", "gauge", "learning.paused_stores", "", "Label stores that cannot be used now."),
    ("learning_rounds_total", "counter", "learning.rounds", "", "Looks at the folders of all Maildirs."),
    ("learning_round_cpu_seconds", "gauge", "learning.round_seconds", "", "Processor time of the last such look."),
    ("maildirs", "gauge", "maildirs", "how", "Maildirs that are watched, polled, or not there."),
    ("waiting_maildirs", "gauge", "waiting", "", "Maildirs that want a look."),
    ("scans_total", "counter", "scans", "", "Looks at all Maildirs."),
    ("scan_cpu_seconds", "gauge", "scan_seconds", "", "Processor time of the last look at all Maildirs."),
    ("overflows_total", "counter", "overflows", "", "Times that the kernel dropped events."),
    ("watcher_restarts_total", "counter", "restarts", "", "Times that the watching thread had died."),
    ("reloads_total", "counter", "reloads", "", "Times that configuration and model were read again."),
    ("errors_total", "counter", "errors", "", "Bugs that the daemon lived through."),
    ("start_time_seconds", "gauge", "started", "", "When the daemon started, in seconds since 1970."),
)
_HISTOGRAMS = (
    ("delivery_to_done_seconds", "mail.latency", "From delivery to the end of all that was done."),
    ("judging_seconds", "mail.judging", "Judging one message."),
)


def to_text(snapshot: dict[str, Any]) -> str:
    """A snapshot in Prometheus' text format. No Maildir is named: their names are people's."""
    info = f'version="{_escaped(snapshot["version"])}",model="{_escaped(snapshot["model"])}"'
    lines = ["# HELP spamlstm_info What runs.", "# TYPE spamlstm_info gauge", f"spamlstm_info{{{info}}} 1"]
    for name, kind, place, label, words in _ROWS:
        lines += [f"# HELP spamlstm_{name} {words}", f"# TYPE spamlstm_{name} {kind}"]
        value = _found(snapshot, place)
        if label:
            numbers = {key: one for key, one in value.items() if isinstance(one, int)}
            lines += [f'spamlstm_{name}{{{label}="{_escaped(key)}"}} {one}' for key, one in sorted(numbers.items())]
        else:
            lines.append(f"spamlstm_{name} {value}")
    for name, place, words in _HISTOGRAMS:
        lines += [f"# HELP spamlstm_{name} {words}", f"# TYPE spamlstm_{name} histogram"]
        lines += _histogram(f"spamlstm_{name}", _found(snapshot, place))
    return "\n".join(lines) + "\n"


def _found(snapshot: dict[str, Any], place: str) -> Any:
    value: Any = snapshot
    for key in place.split("."):
        value = value[key]
    return value


def _histogram(name: str, told: dict[str, Any]) -> Iterator[str]:
    so_far = 0
    for bound, count in zip((*told["bounds"], "+Inf"), told["counts"], strict=True):
        so_far += count
        yield f'{name}_bucket{{le="{bound}"}} {so_far}'
    yield f"{name}_sum {told['sum']}"
    yield f"{name}_count {so_far}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def write_textfile(path: Path, text: str) -> None:
    """Write the numbers to the file at `path`, whole at any time and readable for node_exporter, another user."""
    write_file(path, text, mode=0o644, durable=False)


@contextlib.contextmanager
def served(address: tuple[str, int], text: Callable[[], str]) -> Iterator[int]:
    """Serve the text at /metrics from a thread that sleeps until asked; gives the port. OSError if it is taken."""
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as ear:
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ear.bind(address)
        ear.listen(128)
        port: int = ear.getsockname()[1]
        with serving(ear, lambda asked: answer(asked, text), name="metrics", seconds=CLIENT_SECONDS):
            yield port


def answer(asked: bytes, text: Callable[[], str]) -> bytes | None:
    """The HTTP response to what a client has sent; None while its header has not ended."""
    if len(asked) > MOST_REQUEST:
        return _response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    if not re.search(rb"\n\r?\n", asked):
        return None
    method, _, rest = asked.partition(b"\n")[0].rstrip(b"\r").partition(b" ")
    target, _, version = rest.rpartition(b" ")
    if not target or not version.startswith(b"HTTP/1."):
        return _response(HTTPStatus.BAD_REQUEST)
    if target.partition(b"?")[0] != b"/metrics":
        return _response(HTTPStatus.NOT_FOUND)
    if method != b"GET":
        return _response(HTTPStatus.METHOD_NOT_ALLOWED)
    return _response(HTTPStatus.OK, text(), CONTENT_TYPE)


def _response(status: HTTPStatus, text: str = "", kind: str = "text/plain; charset=utf-8") -> bytes:
    body = (text or f"{status.phrase}\n").encode()
    lines = (
        f"HTTP/1.0 {status} {status.phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        *(["Allow: GET"] if status is HTTPStatus.METHOD_NOT_ALLOWED else []),
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body
