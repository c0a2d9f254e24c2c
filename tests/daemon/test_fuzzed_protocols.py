"""A short run of the fuzzer of the protocols, `benchmarks/fuzz_listeners.py`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_changed_requests_raise_nothing_and_get_an_answer(tmp_path):
    """Recorded requests with changed bytes, lengths and packets get answers of the right form, and no code raises."""
    command = [sys.executable, ROOT / "benchmarks" / "fuzz_listeners.py", "--count", "200", "--findings", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
