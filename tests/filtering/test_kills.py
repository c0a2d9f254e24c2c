"""Killed at any system call, the pipeline loses and doubles no message, and the journal knows what was done."""

import pytest
from killing import can_trace
from kills import SCENARIOS, kill

# Other tests may have left threads, which a fork does not copy.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

# A kill takes 15 ms; `python benchmarks/kills.py` takes them all.
_STEP = 5


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed(name, tmp_path):
    """Every fifth system call, beginning with another one in each scenario, and after the last."""
    if not can_trace():
        pytest.skip("this machine forbids ptrace, which stops a process at a system call")
    call = 1 + list(SCENARIOS).index(name) % _STEP
    while kill(SCENARIOS[name], call, _new(tmp_path / str(call))):
        call += _STEP
    assert call > 20


def _new(path):
    path.mkdir()
    return path
