"""Metrics for Prometheus: as text, in a file for node_exporter, and served on an address of this machine."""

import contextlib
import logging
import re
import socket
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from spamlstm.config import MetricsConfig
from spamlstm.config.maildirs import absolute
from spamlstm.daemon.server import serving
from spamlstm.files import write_file
from spamlstm.filtering.log import emit

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# A scrape takes milliseconds.
CLIENT_SECONDS = 5.0
# A request of Prometheus has some 300 bytes.
MOST_REQUEST = 8192

# Name, kind, path in the snapshot, label of the keys of a table, help.
_ROWS = (
    ("judged_total", "counter", "mail.judged", "verdict", "Messages judged."),
    ("acted_total", "counter", "mail.acted", "action", "What was done to messages."),
    ("failed_total", "counter", "mail.failed", "kind", "Messages that could not be read, judged or acted on."),
    ("settled_total", "counter", "mail.settled", "outcome", "Interrupted acts that were completed or undone."),
    ("known_total", "counter", "mail.known", "", "Messages that were judged before and left alone."),
    ("gone_total", "counter", "mail.gone", "", "Messages that other programs moved or removed first."),
    ("labels", "gauge", "learning.labels", "label", "Labels in the shared label store."),
    ("learned_total", "counter", "learning.moved", "label", "Labels that followed from moves by users."),
    ("not_learned_total", "counter", "learning.failed", "", "Times that labels or folders could not be read."),
    ("paused_label_stores", "gauge", "learning.paused_stores", "", "Label stores that cannot be used now."),
    ("learning_rounds_total", "counter", "learning.rounds", "", "Visits of the folders of all Maildirs."),
    ("learning_round_cpu_seconds", "gauge", "learning.round_seconds", "", "Processor time of the last such round."),
    ("maildirs", "gauge", "maildirs", "how", "Maildirs that are watched, polled, missing or refused."),
    ("waiting_maildirs", "gauge", "waiting", "", "Maildirs that wait to be scanned."),
    ("scans_total", "counter", "scans", "", "Scans of all Maildirs."),
    ("scan_cpu_seconds", "gauge", "scan_seconds", "", "Processor time of the last scan of all Maildirs."),
    ("overflows_total", "counter", "overflows", "", "Times that the kernel dropped events."),
    ("watcher_restarts_total", "counter", "restarts", "", "Times that the watching thread was restarted."),
    ("reloads_total", "counter", "reloads", "", "Times that configuration and model were read again."),
    ("errors_total", "counter", "errors", "", "Unexpected errors that did not stop the daemon."),
    ("start_time_seconds", "gauge", "started", "", "When the daemon started, in seconds since 1970."),
)
_HISTOGRAMS = (
    ("delivery_to_done_seconds", "mail.latency", "Time from delivery to the last act."),
    ("judging_seconds", "mail.judging", "Time to judge one message."),
)


def to_text(snapshot: dict[str, Any]) -> str:
    """Return a snapshot in Prometheus' text format. No Maildir is named, as their names are those of users."""
    info = f'version="{_escaped(snapshot["version"])}",model="{_escaped(snapshot["model"])}"'
    lines = ["# HELP spamlstm_info Version and model.", "# TYPE spamlstm_info gauge", f"spamlstm_info{{{info}}} 1"]
    for name, kind, path, label, words in _ROWS:
        lines += [f"# HELP spamlstm_{name} {words}", f"# TYPE spamlstm_{name} {kind}"]
        value = _value(snapshot, path)
        if label:
            numbers = {key: one for key, one in value.items() if isinstance(one, int)}
            lines += [f'spamlstm_{name}{{{label}="{_escaped(key)}"}} {one}' for key, one in sorted(numbers.items())]
        else:
            lines.append(f"spamlstm_{name} {value}")
    for name, path, words in _HISTOGRAMS:
        lines += [f"# HELP spamlstm_{name} {words}", f"# TYPE spamlstm_{name} histogram"]
        lines += _histogram(f"spamlstm_{name}", _value(snapshot, path))
    return "\n".join(lines) + "\n"


def _value(snapshot: dict[str, Any], path: str) -> Any:
    value: Any = snapshot
    for key in path.split("."):
        value = value[key]
    return value


def _histogram(name: str, values: dict[str, Any]) -> Iterator[str]:
    total = 0
    for bound, count in zip((*values["bounds"], "+Inf"), values["counts"], strict=True):
        total += count
        yield f'{name}_bucket{{le="{bound}"}} {total}'
    yield f"{name}_sum {values['sum']}"
    yield f"{name}_count {total}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def write_textfile(path: Path, text: str) -> None:
    """Replace the file at once: others read it at any time. It is readable for node_exporter, which is another user."""
    write_file(path, text, mode=0o644, durable=False)


class Metrics:
    """The metrics of a running daemon, served and written as the configuration says. `snapshot` returns the values."""

    def __init__(self, snapshot: Callable[[], dict[str, Any]]) -> None:
        self._snapshot = snapshot
        self._listener = contextlib.ExitStack()

    def serve(self, config: MetricsConfig) -> None:
        """Listen on the configured address, instead of the one before; what is wrong with it is logged."""
        self._listener.close()
        address = config.address()
        if address is None:
            return
        try:
            self._listener.enter_context(served(address, lambda: to_text(self._snapshot())))
        except OSError as error:
            emit(logging.WARNING, "metrics-failed", listen=config.listen, error=error.strerror)

    def write(self, config: MetricsConfig) -> None:
        """Write the configured file, if any; what is wrong with it is logged."""
        if config.textfile is None:
            return
        try:
            write_textfile(Path(absolute(config.textfile)), to_text(self._snapshot()))
        except OSError as error:
            emit(logging.WARNING, "metrics-failed", textfile=config.textfile, error=error.strerror)

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()


@contextlib.contextmanager
def served(address: tuple[str, int], text: Callable[[], str]) -> Iterator[int]:
    """Serve the text at /metrics from a thread; give the port. An OSError if the address is in use."""
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
        port: int = listener.getsockname()[1]
        with serving(listener, lambda request: answer(request, text), name="metrics", seconds=CLIENT_SECONDS):
            yield port


def answer(request: bytes, text: Callable[[], str]) -> bytes | None:
    """Return the HTTP response to what a client has sent so far; None if the header is not complete."""
    if len(request) > MOST_REQUEST:
        return _response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    if not re.search(rb"\n\r?\n", request):
        return None
    method, _, rest = request.partition(b"\n")[0].rstrip(b"\r").partition(b" ")
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
