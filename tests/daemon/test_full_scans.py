"""The schedule of full scans and polls: neither is forgotten, and polling takes a bounded share of time."""

from types import SimpleNamespace

import pytest

from spamlstm.config import Config, ImapConfig, MaildirConfig
from spamlstm.daemon.full_scans import POLL_SECONDS, POLL_SHARE, FullScans
from spamlstm.daemon.hints import Hints
from spamlstm.daemon.sd_notify import Notifier
from spamlstm.daemon.status import Coverage, DaemonStatus
from spamlstm.filtering.counters import Counters


class PolledWatcher:
    """A watcher that must poll. Each poll takes `seconds` of the clock."""

    polls = True

    def __init__(self, clock):
        self.clock, self.seconds, self.polled = clock, 0.0, 0

    def poll(self, *, beat):
        self.polled += 1
        self.clock.now += self.seconds

    def cover(self, maildirs, *, beat):
        return Coverage(polled=len(maildirs))

    def present(self):
        return ["/mail/ann"]

    def has_died(self):
        return False


@pytest.fixture
def clock():
    return SimpleNamespace(now=1000.0)


@pytest.fixture
def scans(clock):
    return FullScans(
        watcher=PolledWatcher(clock),
        hints=Hints(lambda: None),
        status=DaemonStatus(Counters()),
        locks=None,
        notifier=Notifier({}),
        clock=lambda: clock.now,
    )


@pytest.mark.parametrize(("seconds", "pause"), [(0.0, POLL_SECONDS), (1.0, 1.0 / POLL_SHARE)])
def test_a_slow_poll_is_rarer(scans, clock, seconds, pause):
    """Polls come every few seconds, or more rarely, so that they take a thousandth of the time at most."""
    scans.watcher.seconds = seconds
    scans.poll()
    clock.now += pause - 0.1
    scans.poll()
    assert scans.watcher.polled == 1
    clock.now += 0.2
    scans.poll()
    assert scans.watcher.polled == 2


def test_a_full_scan_is_due_after_its_interval_or_a_lost_hint(scans, clock):
    """A full scan queues each Maildir. The next one is due after the interval, or at once if hints were lost."""
    config = Config()
    assert scans.is_due()
    scans.start(config)
    assert not scans.is_due()
    assert scans.hints.take()[0] == "/mail/ann"
    scans.hints.rescan_all()
    assert scans.is_due()
    scans.start(config)
    clock.now += config.daemon.scan_seconds
    assert scans.is_due()


def test_a_full_scan_is_counted_when_its_maildirs_were_scanned(scans):
    """The count and the time are in the status after the end, and an end without a start changes nothing."""
    scans.end()
    assert scans.status.scans == 0
    scans.start(Config())
    with scans.measured():
        pass
    assert scans.status.scans == 0
    scans.end()
    scans.end()
    assert scans.status.scans == 1
    assert scans.status.scan_seconds > 0


@pytest.mark.parametrize("account_is_dry", [False, True])
def test_a_dry_run_is_one_of_all_sections(scans, account_is_dry):
    """The status says `dry run` if mail is changed in no Maildir and on no IMAP account."""
    account = ImapConfig("imap.example.org", "ann", dry_run=account_is_dry)
    for maildirs in ((), (MaildirConfig("/mail/ann", dry_run=True),)):
        scans.start(Config(maildirs=maildirs, accounts=(account,)))
        assert scans.status.dry_run == account_is_dry
