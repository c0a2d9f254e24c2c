"""Known correspondents: what each sender with a proven identity sent to one user before.

`Correspondents` counts the ham and spam labels of each sender. The counts of a sender whom the user knows move the
score of further mail by a bounded shift. The shift is small if the labels disagree, so one wrong label does no harm.
docs/decisions/0018-known-senders.md has the measurements for the constants.
"""

import math
import struct
from typing import NamedTuple

from spamlstm.features.sender_identity import SenderIdentity

# The most senders and proofs. If there are more, those without recent labels are forgotten.
MOST_ENTRIES = 10_000
# An answer counts as much as this many further ham messages. A message to the sender counts as much as some answers.
ANSWERED, WRITTEN = 3, 6
# The shift in log-odds is the log of the counts times a weight, and at most this much. The shift alone never moves a
# message from spam to ham with the usual thresholds, so mail from the account of a friend that was taken over can still
# be unsure. With a weak proof the bounds are lower, because others may have the same proof.
HAM_WEIGHT, MOST_HAM, MOST_SHARED_HAM = 3.0, 4.0, 2.0
SPAM_WEIGHT, MOST_SPAM = 1.5, 3.0
SHARED_SPAM_WEIGHT, MOST_SHARED_SPAM = 1.0, 1.5
# One label is worth this many labels of the other kind. Not more than MOST_COUNT labels of a kind are counted, so that
# a few labels take the trust from a sender who has changed.
AGAINST, MOST_COUNT = 10, 50
# The shift is halved if this many labels were learned since the last label of the sender.
HALF_AGE = 4000
# A sender to whom the user only wrote is known if the proof has this many ham labels of other senders. Otherwise the
# results may be forged, because the receiving server writes none.
PROVEN = 3

_HEAD, _ENTRY = struct.Struct("<q"), struct.Struct("<8s4I")
_LEAST_SHIFT = 0.01


class KnownSender(NamedTuple):
    """The earlier mail of one sender, and the resulting shift of the score in log-odds.

    `ham` and `spam` are numbers of labels, and `answered` is the number of ham messages that the user answered.
    `written` is true if the user wrote to the sender. A shift above 0 is towards spam.
    """

    ham: int
    spam: int
    answered: int
    written: bool
    shift: float


class _Entry(NamedTuple):
    """The counts of a sender or of a proof. `last` is the number of labels learned until its latest label."""

    ham: int = 0
    spam: int = 0
    answered: int = 0
    last: int = 0


_NONE = _Entry()


class Correspondents:
    """The senders known from a user's labels, and the correspondents to whom the user wrote.

    The counts depend only on the labels and their order. `written` has the hashes of names, and is not part of the
    saved state.
    """

    def __init__(self) -> None:
        self._entries: dict[bytes, _Entry] = {}
        self._labels = 0
        self.written: frozenset[bytes] = frozenset()

    def learn(self, sender: SenderIdentity | None, *, spam: bool, answered: bool = False) -> None:
        """Learn one label of a message. A message without a proven sender only ages the counts of other senders."""
        self._labels += 1
        if sender is None:
            return
        for key in (sender.key, sender.proof_key):
            entry = self._entries.pop(key, _NONE)
            self._entries[key] = _Entry(
                entry.ham + (not spam), entry.spam + spam, entry.answered + (answered and not spam), self._labels
            )
        while len(self._entries) > MOST_ENTRIES:
            del self._entries[next(iter(self._entries))]

    def evidence(self, sender: SenderIdentity | None) -> KnownSender | None:
        """Return the earlier mail of the sender of a message.

        Return None if the sender is not known or does not change the score.
        """
        if sender is None or not (self._entries or self.written):
            return None
        entry, proof = self._entries.get(sender.key, _NONE), self._entries.get(sender.proof_key, _NONE)
        written = (
            bool(self.written) and sender.name_key in self.written and not sender.shared and _is_genuine(sender, proof)
        )
        ham = entry.ham + ANSWERED * entry.answered + WRITTEN * written
        shift = _ham_shift(sender, ham, entry, proof) or _spam_shift(sender, ham, entry)
        if entry.last and not written:
            shift *= 0.5 ** ((self._labels - entry.last) / HALF_AGE)
        if abs(shift) < _LEAST_SHIFT:
            return None
        return KnownSender(entry.ham, entry.spam, entry.answered, written, shift)

    def dump(self) -> bytes:
        """Return the state as bytes for `load`, without `written`."""
        entries = b"".join(_ENTRY.pack(key, *entry) for key, entry in self._entries.items())
        return _HEAD.pack(self._labels) + entries

    @staticmethod
    def loaded(state: bytes | memoryview) -> "Correspondents":
        """Return the correspondents in a state returned by `dump`. Raises ValueError if it cannot be such a state."""
        entries = memoryview(state)[_HEAD.size :]
        if len(state) < _HEAD.size or len(entries) % _ENTRY.size or len(entries) > MOST_ENTRIES * _ENTRY.size:
            raise ValueError(f"the senders have a wrong size of {len(state)} bytes")
        result = Correspondents()
        (result._labels,) = _HEAD.unpack_from(state)
        result._entries = {key: _Entry(*counts) for key, *counts in _ENTRY.iter_unpack(entries)}
        lasts = [entry.last for entry in result._entries.values()]
        if lasts != sorted(lasts) or not 0 <= (lasts[-1] if lasts else 0) <= result._labels:
            raise ValueError("the senders are out of order")
        return result


def _is_genuine(sender: SenderIdentity, proof: _Entry) -> bool:
    """Return whether the proof of a sender without labels cannot be forged."""
    return sender.is_by_host or (proof.ham >= PROVEN and proof.ham > proof.spam / AGAINST)


def _ham_shift(sender: SenderIdentity, ham: int, entry: _Entry, proof: _Entry) -> float:
    """Return the shift towards ham, at most 0. `ham` includes answers."""
    shift = min(HAM_WEIGHT * _odds(ham, entry.spam), MOST_SHARED_HAM if sender.shared else MOST_HAM)
    if sender.shared and sender.is_by_host:
        # A host that hands over spam of other names proves little, because spam may claim any name.
        shift = min(shift, HAM_WEIGHT * _odds(proof.ham, proof.spam))
    return -shift


def _spam_shift(sender: SenderIdentity, ham: int, entry: _Entry) -> float:
    """Return the shift towards spam, at least 0. Spam of a mailing list without ham is evidence against the list."""
    odds = _odds(entry.spam, ham)
    if sender.shared and not sender.is_list:
        return min(SHARED_SPAM_WEIGHT * odds, MOST_SHARED_SPAM)
    return min(SPAM_WEIGHT * odds, MOST_SPAM)


def _odds(count: int, against: int) -> float:
    """Return the log of the odds of `count` labels to `against` labels, at least 0."""
    return max(math.log((min(count, MOST_COUNT) + 1) / (AGAINST * against + 1)), 0.0)
