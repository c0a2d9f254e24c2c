"""`spamlstm status`: what it prints about the daemon."""

import pytest

from spamlstm.cli.status import latency_in_words


@pytest.mark.parametrize(
    ("p50", "p99", "words"),
    [
        (0.01, 2.5, "half within 10 ms, 99 % within 2.5 s"),
        (0.01, None, "half within 10 ms, 1 % or more took more than 60 s"),
        (None, None, "half or more took more than 60 s, 1 % or more took more than 60 s"),
    ],
)
def test_a_latency_beyond_the_last_bound_is_not_called_within(p50, p99, words):
    """A latency of more than 60 s is described as such, not as "within more than 60 s"."""
    answer = {"mail": {"latency": {"bounds": [0.01, 60.0], "counts": [1, 0, 1]}}, "p50": p50, "p99": p99}
    assert latency_in_words(answer) == words
