"""Fixtures for every test: the checkout, a clean user account, a wait without sleeps, a fresh interpreter."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import on_disk
import pytest

# No deadline: a busy machine must not fail a test; benchmarks/ measures time. Derandomized: a failure is due to the
# change under test; `pytest --hypothesis-profile search` looks for new examples.
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")

ROOT = Path(__file__).resolve().parent.parent


# Variables of a user's session that change which files the program reads and writes.
INHERITED = ("SPAMLSTM_", "XDG_", "STATE_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_", "JOURNAL_STREAM")

# With pytest-xdist, one process runs all tests of a file, because they share fixtures, and all tests of these folders,
# because they share a build. The folders with the longest tests come first, so that all processes end at the same time.
TOGETHER = ("tests/package/",)
LONGEST_FIRST = (
    "tests/package/",
    "tests/peers/",
    "tests/recipes/",
    "tests/training/",
    "tests/learning/",
    "tests/filtering/",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Distribute the tests by files."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((folder for folder in TOGETHER if nodeid.startswith(folder)), super()._split_scope(nodeid))

    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_modifyitems(config, items) -> None:
    if hasattr(config, "workerinput"):  # in a process of pytest-xdist
        items.sort(key=lambda item: not item.nodeid.startswith(LONGEST_FIRST))


def _new_account(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Make `home` the home folder, empty as after `useradd`, for this process and all that it starts."""
    patch.setenv("HOME", str(home))
    for name in ("CONFIG", "STATE", "DATA", "CACHE"):
        patch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))


@pytest.fixture(scope="session", autouse=True)
def _account_for_shared_fixtures(tmp_path_factory) -> Iterator[None]:
    """Fixtures that several tests share do not find the configuration, labels or models of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(INHERITED)]:
            patch.delenv(name)
        _new_account(patch, tmp_path_factory.mktemp("home"))
        yield


@pytest.fixture(autouse=True)
def _account(tmp_path_factory, monkeypatch) -> None:
    """Each test runs as a user who has no configuration, labels or models, and leaves none to the next test."""
    _new_account(monkeypatch, tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """A command that a test runs, with -q or -v or as a daemon, does not set the log level of the next test."""
    yield
    for name in ("spamlstm", "spamlstm.daemon"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def _closed_maildirs() -> Iterator[None]:
    """No Maildir that a test opened stays open."""
    yield
    on_disk.close()


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """Return a tiny model, made once. A test that changes it must copy it."""
    from tiny_bundle import make  # which loads onnx

    return make(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def classifier(tiny):
    """Return a classifier with the tiny model that learns from labels."""
    from spamlstm.model.classifier import Classifier

    return Classifier.open(tiny, personal_features=True)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Processes that tests start react to Ctrl-C, even where the shell started pytest with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def python() -> Callable[[str], str]:
    """Run a script in a fresh interpreter that writes no bytecode; returns its output, raises if it fails."""

    def run(script: str) -> str:
        done = subprocess.run(
            [sys.executable, "-B", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise AssertionError(done.stderr)
        return done.stdout

    return run


@pytest.fixture
def wait():
    """Call a condition every 10 ms until it is true; fails after 30 s, which a busy machine may take."""
    tick = threading.Event()

    def until(condition):
        for _ in range(3000):
            if condition():
                return
            tick.wait(0.01)
        raise AssertionError("the condition did not become true within 30 s")

    return until
