"""`spamlstm status`: print the status report of the running daemon."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spamlstm.cli.terminal import print_json, print_lines, thresholds_in_words
from spamlstm.config.locations import SYSTEM_STATE, state_dir
from spamlstm.daemon.server import ask
from spamlstm.errors import UnavailableError
from spamlstm.wording import counted

_LOADED = {"listeners": "other listeners stay", "reload": "configuration and model stay", "model": "model stays"}


def show_status(*, json: bool, state: Path | None) -> None:
    """Print the status as text or as one JSON object. Raises UnavailableError if no daemon answers."""
    answer = _ask() if state is None else ask(state)
    if json:
        print_json(answer)
    else:
        print_lines(*_lines(answer))


def _ask() -> dict[str, Any]:
    """Return the status of the user's own daemon, or of the system daemon if the user's daemon does not answer.

    Raises UnavailableError if no daemon answers.
    """
    try:
        return ask(state_dir())
    except UnavailableError:
        if not SYSTEM_STATE.is_dir() or state_dir() == SYSTEM_STATE:
            raise
        return ask(SYSTEM_STATE)


def _lines(answer: dict[str, Any]) -> Iterator[str]:
    mail, maildirs = answer["mail"], answer["maildirs"]
    dry = "; dry run: mail is not changed" if answer["dry_run"] else ""
    up, model = _span(answer["uptime"]), answer["model"]
    yield f"spamlstm {answer['version']}, process {answer['pid']}, up {up}, model {model}{dry}"
    refused = f", {maildirs['refused']} refused" if maildirs["refused"] else ""
    limit = "" if maildirs["most_watches"] is None else f" of {maildirs['most_watches']}"  # if the kernel reports it
    yield _row(
        "Maildirs",
        f"{maildirs['watched']} watched, {maildirs['polled']} polled, {maildirs['missing']} missing{refused}"
        f" ({maildirs['watched']}{limit} inotify watches)",
    )
    yield from (_row("", remark) for remark in answer["remarks"])
    yield from (
        _row("not loaded", f"{' '.join(why.split())}; the previous {_LOADED[what]} in use")
        for what, why in answer.get("load_errors", {}).items()
    )
    if answer.get("thresholds"):
        yield _row("thresholds", thresholds_in_words(answer["thresholds"]))
    yield _row("classified", _counts(mail["judged"]))
    yield _row("actions", _counts(mail["acted"]))
    yield _row("unchanged", f"{mail['known']} classified before, {mail['gone']} removed in the meantime")
    yield _row("failed", _counts(mail["failed"]))
    yield _row("latency", latency_in_words(answer))
    yield _row("learned", _learned(answer["learning"], now=time.time()))
    yield from (_row("paused", _paused(one)) for one in answer["learning"].get("paused", ()))
    yield from (_row(f"listener {name}", _listener(one)) for name, one in answer.get("listeners", {}).items())
    yield from (
        _row(f"account {name}", _account(one, now=time.time())) for name, one in answer.get("accounts", {}).items()
    )
    yield _row("waiting", counted(answer["waiting"], "Maildir"))
    yield _row(
        "scans",
        f"{answer['scans']}, the last took {answer['scan_seconds']:.3f} s of processor time; the kernel dropped events"
        f" {counted(answer['overflows'], 'time')}",
    )
    if answer["errors"] or answer["restarts"]:
        yield _row(
            "errors",
            f"{counted(answer['errors'], 'unexpected error')}, {counted(answer['restarts'], 'restart')} of the watcher;"
            " see the log",
        )


def _row(name: str, value: str) -> str:
    return f"  {name:17} {value}"


def _listener(answer: dict[str, Any]) -> str:
    """Return the address and the numbers of one listener. Numbers of failures are left out if they are 0."""
    failures = ", ".join(f"{answer[name]} {name}" for name in ("refused", "dropped", "errors") if answer[name])
    labelled = f"; {counted(answer['labelled'], 'label')} changed" if answer["labelled"] else ""
    judged = _counts(answer["judged"], "classified")
    return f"{answer['address']}: {judged}{labelled}" + (failures and f"; {failures}")


def _account(answer: dict[str, Any], *, now: float) -> str:
    """Return the state and the numbers of an IMAP account. Numbers of failures are left out if they are 0."""
    why = f" ({answer['error']})" if answer["error"] else ""
    state = f"{answer['state']}{why} for {_span(max(0.0, now - answer['since']))}"
    learned = f"; {_counts(answer['learned'], 'learned from moved mail')}" if answer["learned"] else ""
    failed = f"; failures, see the log: {_counts(answer['failed'])}" if answer["failed"] else ""
    filed = f", {answer['acted']['file']} moved to junk" if answer["acted"].get("file") else ""
    return f"{state}: {_counts(answer['judged'], 'classified')}{filed}{learned}{failed}"


def _counts(table: dict[str, int], what: str = "") -> str:
    """Return the sum of some numbers, what they count, and the numbers: `3 classified (1 ham, 2 spam)`."""
    total = f"{sum(table.values())} {what}".rstrip()
    return total + (f" ({', '.join(f'{count} {name}' for name, count in sorted(table.items()))})" if table else "")


def _learned(answer: dict[str, Any], *, now: float) -> str:
    labels = f"{_counts(answer['labels'])}; " if answer["labels"] else ""
    if rescored := answer.get("rescored"):
        labels += f"mail waits until the labels are scored with the new model, {rescored:,} done; "
    last = f"; the last {_span(max(0.0, now - answer['last']))} ago" if answer["last"] is not None else ""
    failed = f"; {counted(answer['failed'], 'failure')}, see the log" if answer["failed"] else ""
    return f"{labels}{_counts(answer['moved'], 'from moved mail since the start')}{last}{failed}"


def _paused(answer: dict[str, Any]) -> str:
    """Return a description of a label store that cannot be used at the moment and is retried."""
    labels = f"the labels of {answer['maildir']}" if answer["maildir"] else "the labels"
    return f"{labels}, retried every {answer['delay']:g} s: {answer['why']}"


def latency_in_words(answer: dict[str, Any]) -> str:
    """Return the median and the 99th percentile of the latency. They are None beyond the last bound."""
    latency = answer["mail"]["latency"]
    if not sum(latency["counts"]):
        return "no message yet"

    longest = f"{latency['bounds'][-1]:g} s"

    def within(share: str, seconds: float | None, *, rest: str) -> str:
        if seconds is None:
            return f"{rest} took more than {longest}"
        return f"{share} within " + (f"{1000 * seconds:g} ms" if seconds < 1 else f"{seconds:g} s")

    return f"{within('half', answer['p50'], rest='half or more')}, {within('99 %', answer['p99'], rest='1 % or more')}"


def _span(seconds: float) -> str:
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 2880 else f"{minutes // 1440} days"
