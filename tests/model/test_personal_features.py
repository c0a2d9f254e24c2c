"""Personal features are the same for a message and its copies, and the same in memory and in the store."""

from array import array
from base64 import encodebytes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_bundle import mail

from spamlstm.model.classifier import Classifier
from spamlstm.model.personal_features import FEATURES, joined, packed_tokens, runs, runs_of, tokens, unpacked_tokens

Rows = st.lists(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50).map(lambda ids: array("I", ids)), max_size=3
)


@given(raw=st.binary(max_size=5000), rows=Rows)
def test_numbers_in_order_and_each_once(raw, rows):
    """For any bytes and ids, features are ascending and distinct, runs before tokens, and tokens survive packing."""
    found = joined(runs(raw), tokens(rows))
    assert found.dtype == np.uint32
    assert (np.diff(found.astype(np.int64)) > 0).all()
    assert not len(found) or found[-1] < FEATURES
    assert (runs_of(found) == runs(raw)).all()
    assert (joined(runs(raw), unpacked_tokens(packed_tokens(found))) == found).all()


def test_a_tagged_copy_has_the_same(tiny):
    """A file that the filter has tagged, and one with CRLF as IMAP has, has the same features."""
    base = Classifier.open(tiny, personal_features=True)
    raw = mail("a meeting about the garden, and of nothing else", subject="garden").replace(b"\r", b"")
    plain, tagged = base.assess(raw), base.assess(b"X-Spam-Status: Yes, score=9\r\n" + raw.replace(b"\n", b"\r\n"))
    assert len(plain.tokens) > 20
    assert (plain.personal_features == tagged.personal_features).all()


def test_what_a_message_is_about_counts_however_it_was_encoded(tiny):
    """A letter in base64 has other runs, but the same tokens."""
    base = Classifier.open(tiny, personal_features=True)
    head, text = mail(" ".join(f"word{number} other" for number in range(60)), subject="garden").split(b"\r\n\r\n", 1)
    encoded = head.replace(b"8bit", b"base64") + b"\r\n\r\n" + encodebytes(text)
    plain, other = (unpacked_tokens(base.assess(raw).tokens) for raw in (head + b"\r\n\r\n" + text, encoded))
    assert len(np.intersect1d(plain, other)) > 0.8 * len(plain)
    assert len(np.intersect1d(runs(text), runs(encodebytes(text)))) < 0.05 * len(runs(text))


def test_tokens_without_features_are_an_error(tiny):
    """Without personal features, `tokens` is an error and not an empty result, which would lose what the base read."""
    with pytest.raises(ValueError, match="without personal features"):
        _ = Classifier.open(tiny).assess(mail("a meeting")).tokens
