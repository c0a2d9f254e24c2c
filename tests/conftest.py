"""What every test may ask for: where the project lies, a patient wait, a Python as clean as a user's."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import on_disk
import pytest

# A machine that is busy with other things fails no test; what may take how long is measured in benchmarks/. And a run
# tells of the change that it tests, not of its luck: `pytest --hypothesis-profile search` looks for new examples.
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _closed_maildirs() -> Iterator[None]:
    """No Maildir that a test opened stays open."""
    yield
    on_disk.close()


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def _no_configuration(tmp_path_factory) -> Iterator[None]:
    """Tests, and what they start, do not find the configuration of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("xdg")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """What tests start can be interrupted: a shell that runs them in its background lets all of them ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def python() -> Callable[[str], str]:
    """Run a script in a fresh interpreter that writes no bytecode; gives its output, raises if it fails."""

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
    """Look again until it is so, for some seconds."""
    tick = threading.Event()

    def until(ask):
        for _ in range(500):
            if ask():
                return
            tick.wait(0.01)
        raise AssertionError("it never came to be")

    return until
