"""The logit of a message, and the pieces in which a doubtful message is read."""

import dataclasses

import pytest
from fixtures import tiny_bundle
from fixtures.tiny_bundle import HAMMY, SPAMMY
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.model import bundle
from spamlstm.model.classifier import Classifier
from spamlstm.model.close_reading import DOUBTFUL, divide, is_doubtful, message_logit, message_logits
from spamlstm.model.encoder import Encoder

LOGITS = st.lists(st.floats(-20, 20), min_size=1, max_size=8)


@given(LOGITS, st.floats(-20, 20))
def test_the_logit_of_a_message(windows, more):
    """The logit of one window is that of the message; with several it is between the first and the highest.

    A further window never lowers it.
    """
    assert windows[0] - 1e-9 <= message_logit(windows) <= max(windows) + 1e-9
    assert message_logit([windows[0]]) == windows[0]
    assert message_logit([*windows, more]) >= message_logit(windows)


@given(LOGITS, LOGITS, st.floats(-20, 20), st.floats(-20, 20))
def test_pieces_only_raise_the_logit(windows, pieces, window, piece):
    """Pieces never lower a logit, and nor does a further window, which can make a message doubtful or end its doubt."""

    def logit(windows, pieces):
        return message_logit(windows, pieces if is_doubtful(windows) else ())

    assert message_logit(windows, pieces) >= message_logit(windows)
    assert logit([*windows, window], [*pieces, piece]) >= logit(windows, pieces)


def test_a_message_that_is_not_doubtful_is_not_divided():
    """Pieces of clear ham and clear spam are not scored, which would take time."""
    messages = [[-3.0], [1.0], [DOUBTFUL[1]], [DOUBTFUL[0]]]
    asked = []
    found = message_logits(messages, logits=lambda rows: rows, pieces=lambda row: asked.append(row) or [row + 2, -9.0])
    assert asked == [1.0, DOUBTFUL[0]]
    assert found == [-3.0, 2.0, DOUBTFUL[1], DOUBTFUL[0] + 1]


@given(st.lists(st.integers()), st.integers(0, 12))
def test_pieces_make_up_the_body(body, most):
    """Pieces contain the whole body in order, and differ in length by one at most; a short body has none."""
    pieces = divide(body, most)
    if most == 0 or len(body) <= most:
        assert pieces == []
    else:
        assert [one for piece in pieces for one in piece] == body
        assert max(map(len, pieces)) <= most
        assert max(map(len, pieces)) - min(map(len, pieces)) <= 1


@pytest.fixture
def plain(tmp_path):
    """Return a bundle whose two known words have a small weight, so that mail with both is doubtful."""
    return bundle.load_bundle(tiny_bundle.make(tmp_path / "bundle", weight=1.0))


@pytest.fixture
def closely(plain):
    """Return the same bundle with pieces of ten tokens."""
    return dataclasses.replace(plain, input=dataclasses.replace(plain.input, piece_tokens=10))


def test_each_piece_has_the_header(closely):
    """A piece is read with the facts, the sender and the subject of its message."""
    encoder = Encoder(closely)
    (row,) = encoder.encode(["⟦subject⟧ hello ⟦body⟧ " + "word " * 25])
    header = row[: row.index(encoder.encode(["⟦body⟧"])[0][-1]) + 1]
    pieces = encoder.pieces(row)
    assert all(piece[: len(header)] == header and len(piece) <= len(header) + 10 for piece in pieces)
    assert [one for piece in pieces for one in piece[len(header) :]] == row[len(header) :].tolist()


def test_an_older_model_reads_no_pieces(plain):
    """The verdicts of a model do not change with the program: without piece_tokens, no message is divided."""
    encoder = Encoder(plain)
    assert encoder.pieces(encoder.encode(["⟦body⟧ " + "word " * 80])[0]) == []


def test_spam_within_innocent_text(plain, closely):
    """Innocent words around spam count less for a model that reads doubtful messages in pieces."""
    innocent = f"{HAMMY} " * 12
    raw = f"Subject: x\n\n{innocent}{f'{SPAMMY} ' * 25}{innocent}".encode()
    classifier = Classifier.open(plain.path)
    together = classifier.classify(raw).score
    classifier.encoder = Encoder(closely)
    assert together == pytest.approx(1.0)
    assert classifier.classify(raw).score == pytest.approx(DOUBTFUL[1])
