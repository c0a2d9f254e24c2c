"""Metrics for Prometheus, written to a file for node_exporter and served by HTTP on a loopback address."""

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
from spamlstm.filtering.event_log import emit

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# The longest time in seconds for one client, from connection to end. A scrape takes milliseconds.
CLIENT_SECONDS = 5.0
# The largest accepted request in bytes. A request of Prometheus has about 300 bytes.
MOST_REQUEST = 8192

# Metric name, metric type, key path in the snapshot, Prometheus label for the keys of a table, help text.
_ROWS = (
    ("judged_total", "counter", "mail.judged", "verdict", "Messages classified."),
    ("acted_total", "counter", "mail.acted", "action", "Actions done to messages."),
    ("failed_total", "counter", "mail.failed", "kind", "Messages that could not be read, classified, tagged or moved."),
    ("settled_total", "counter", "mail.settled", "outcome", "Interrupted changes that were completed or undone."),
    ("known_total", "counter", "mail.known", "", "Messages that were classified before and left unchanged."),
    ("gone_total", "counter", "mail.gone", "", "Messages that were moved or removed before they could be processed."),
    ("labels", "gauge", "learning.labels", "label", "Ham and spam labels in the shared label store."),
    ("learned_total", "counter", "learning.moved", "label", "Labels learned because users moved messages."),
    ("not_learned_total", "counter", "learning.failed", "", "Failures to use a label store or a folder."),
    ("paused_label_stores", "gauge", "learning.paused_stores", "", "Label stores that are paused because of an error."),
    ("learning_rounds_total", "counter", "learning.rounds", "", "Visits of all Maildirs to learn from moves."),
    ("learning_round_cpu_seconds", "gauge", "learning.round_seconds", "", "Processor time of the last round."),
    ("maildirs", "gauge", "maildirs", "how", "Maildirs that are watched, polled, missing or refused."),
    ("waiting_maildirs", "gauge", "waiting", "", "Maildirs that wait to be scanned."),
    ("scans_total", "counter", "scans", "", "Scans of all Maildirs."),
    ("scan_cpu_seconds", "gauge", "scan_seconds", "", "Processor time of the last scan of all Maildirs."),
    ("overflows_total", "counter", "overflows", "", "Number of times that the kernel dropped inotify events."),
    ("watcher_restarts_total", "counter", "restarts", "", "Number of restarts of the watching thread."),
    ("reloads_total", "counter", "reloads", "", "Number of reloads of configuration and model."),
    ("errors_total", "counter", "errors", "", "Unexpected errors that did not stop the daemon."),
    ("start_time_seconds", "gauge", "started", "", "Start time of the daemon in seconds since 1970."),
)
# Metric name, metric type, key in the numbers of a listener, Prometheus label for the keys of a table, help text.
_LISTENER_ROWS = (
    ("listener_connections_total", "counter", "connections", "", "Connections of clients."),
    ("listener_open_connections", "gauge", "open", "", "Connections that are open now."),
    ("listener_dropped_total", "counter", "dropped", "", "Connections closed because they were slow or too many."),
    ("listener_judged_total", "counter", "judged", "verdict", "Messages classified for clients."),
    ("listener_labelled_total", "counter", "labelled", "", "Labels that clients added or removed."),
    ("listener_refused_total", "counter", "refused", "", "Requests that broke the protocol or a limit."),
    (
        "listener_errors_total",
        "counter",
        "errors",
        "",
        "Requests without an answer because of a bug or a lack of memory.",
    ),
)
# The same for the numbers of an IMAP account.
_ACCOUNT_ROWS = (
    ("account_connected", "gauge", "is_connected", "", "Whether the account is connected and was visited."),
    ("account_connections_total", "counter", "connections", "", "Connections to the server."),
    ("account_visits_total", "counter", "visits", "", "Visits of all folders."),
    ("account_judged_total", "counter", "judged", "verdict", "Messages classified."),
    ("account_acted_total", "counter", "acted", "action", "Actions done to messages."),
    ("account_learned_total", "counter", "learned", "label", "Labels learned because the user moved messages."),
    ("account_failed_total", "counter", "failed", "kind", "Messages or folders that could not be processed."),
    ("account_settled_total", "counter", "settled", "outcome", "Interrupted moves, by result."),
)
_HISTOGRAMS = (
    ("delivery_to_done_seconds", "mail.latency", "Time from delivery to the last action on a message."),
    ("judging_seconds", "mail.judging", "Time to classify one message."),
)


def to_text(snapshot: dict[str, Any]) -> str:
    """Return a status snapshot in the text format of Prometheus.

    The paths of Maildirs are left out, because they may contain the names of users.
    """
    info = f'version="{_escaped(snapshot["version"])}",model="{_escaped(snapshot["model"])}"'
    lines = ["# HELP spamlstm_info Version and model.", "# TYPE spamlstm_info gauge", f"spamlstm_info{{{info}}} 1"]
    accounts = {
        name: {**counts, "is_connected": int(counts["state"] == "connected")}
        for name, counts in snapshot["accounts"].items()
    }
    parts = (
        (_ROWS, {"": snapshot}),
        (_LISTENER_ROWS, _with_label("listener", snapshot["listeners"])),
        (_ACCOUNT_ROWS, _with_label("account", accounts)),
    )
    for rows, sources in parts:
        for name, kind, path, label, words in rows:
            lines += _head(name, kind, words)
            for also, numbers in sources.items():
                lines += _samples(name, _value(numbers, path), label, also=also)
    for name, path, words in _HISTOGRAMS:
        lines += _head(name, "histogram", words)
        lines += _histogram(f"spamlstm_{name}", _value(snapshot, path))
    return "\n".join(lines) + "\n"


def _with_label(label: str, numbers: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of listeners or accounts, with their names as values of a Prometheus label."""
    return {f'{label}="{_escaped(name)}"': one for name, one in numbers.items()}


def _head(name: str, kind: str, words: str) -> tuple[str, str]:
    return f"# HELP spamlstm_{name} {words}", f"# TYPE spamlstm_{name} {kind}"


def _samples(name: str, value: Any, label: str, *, also: str = "") -> Iterator[str]:
    """Yield one line for a number, or a line for each number of a table, whose keys become values of `label`.

    `also` is a further label with its value.
    """
    if not label:
        yield f"spamlstm_{name}{{{also}}} {value}" if also else f"spamlstm_{name} {value}"
        return
    numbers = {key: one for key, one in value.items() if isinstance(one, int)}
    for key, one in sorted(numbers.items()):
        yield f'spamlstm_{name}{{{also and f"{also},"}{label}="{_escaped(key)}"}} {one}'


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
    """Replace the file at `path` atomically, because other programs may read it at any time.

    All users may read the file, because node_exporter runs as another user.
    """
    write_file(path, text, mode=0o644, durable=False)


class Metrics:
    """The metrics of a running daemon, served and written as configured. `snapshot` returns the status values."""

    def __init__(self, snapshot: Callable[[], dict[str, Any]]) -> None:
        self._snapshot = snapshot
        self._listener = contextlib.ExitStack()

    def serve(self, config: MetricsConfig) -> None:
        """Stop listening on the previous address and listen on the configured address, if any. Errors are logged."""
        self._listener.close()
        address = config.address()
        if address is None:
            return
        try:
            self._listener.enter_context(served(address, lambda: to_text(self._snapshot())))
        except OSError as error:
            emit(logging.WARNING, "metrics-failed", listen=config.listen, error=error.strerror)

    def write(self, config: MetricsConfig) -> None:
        """Write the configured file, if any. Errors are logged."""
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
    """Serve the result of `text` at /metrics, from a thread, during the `with` block. Yield the port.

    Raises OSError if the address cannot be used, for example because another program listens on it.
    """
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
        port: int = listener.getsockname()[1]
        with serving(listener, lambda request: answer(request, text), name="metrics", seconds=CLIENT_SECONDS):
            yield port


def answer(request: bytes, text: Callable[[], str]) -> bytes | None:
    """Return the HTTP response to the bytes that a client has sent so far, or None if the header is incomplete.

    `text` returns the metrics.
    """
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
