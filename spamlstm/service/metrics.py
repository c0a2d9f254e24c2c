"""The numbers for Prometheus: as text, in a file for node_exporter, and at an address of this machine."""

import contextlib
import http.server
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

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


def write(path: Path, text: str) -> None:
    """Put the text into a file that others read while it is written: they see the old one or the new one, whole."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, "utf-8")
        beside.chmod(0o644)  # node_exporter is another user
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def served(address: tuple[str, int], text: Callable[[], str]) -> Iterator[int]:
    """Serve the text at /metrics from a thread that sleeps until asked; gives the port. OSError if it is taken."""
    server = _Server(address, _handler(text))
    thread = threading.Thread(target=server.serve, name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.end()
        thread.join(timeout=1.0)


class _Server(http.server.HTTPServer):
    """Without the look at a flag twice a second that serve_forever takes."""

    def __init__(self, address: tuple[str, int], handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._ends = False
        super().__init__(address, handler)

    def serve(self) -> None:
        while not self._ends:
            self.handle_request()
        self.server_close()

    def end(self) -> None:
        self._ends = True
        self.socket.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up early is no event."""

    def server_bind(self) -> None:
        """Without the question to a name server that HTTPServer asks here."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()


def _handler(text: Callable[[], str]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 5.0  # the next one waits behind a slow one

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
                return
            body = text().encode()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Scrapes are no event."""

    return Handler
