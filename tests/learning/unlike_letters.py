"""Messages that share nothing but the word that tells."""

import random

from tiny_bundle import mail

SYLLABLES = "ba ce di fo gu ha ke li mo nu pa re si to vu".split()


def letter(number: int, *, spam: bool) -> bytes:
    """A message like no other, but for the word that tells."""
    drawn = random.Random(number)
    words = ["".join(drawn.choice(SYLLABLES) for _ in range(3)) for _ in range(40)]
    words[5:5] = ["pills" if spam else "meeting"]
    return mail(" ".join(words), subject=f"{words[0]} {words[1]}", sender=f"{words[2]}@{words[3]}.org")
