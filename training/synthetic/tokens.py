"""Random identifiers of mail systems: hex ids, base64 signatures, public IP addresses."""

from __future__ import annotations

from base64 import b64encode
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")

LETTERS = "abcdefghijklmnopqrstuvwxyz"
_FIRST_OCTETS = """
5 13 23 31 34 37 40 45 46 51 52 54 62 66 69 74 77 78 80 81 82 85 87 88 89 91 92 93 94 95 103 104 109 116 129 135
139 141 144 149 151 157 159 161 167 168 176 178 185 188 193 194 195 198 199 205 208 209 212 213 216 217
""".split()
ALNUM = LETTERS + LETTERS.upper() + "0123456789"


class Weighted(Generic[T]):
    """A fixed distribution over the keys of `choices`; drawing takes one random number."""

    def __init__(self, choices: dict[T, float]) -> None:
        self.values = list(choices)
        self.cumulative = list(accumulate(choices.values()))

    def draw(self, rng: Random) -> T:
        """Draw a value with probability proportional to its weight."""
        return rng.choices(self.values, cum_weights=self.cumulative)[0]


def chance(rng: Random, probability: float) -> bool:
    """Return True with the given probability."""
    return rng.random() < probability


def alnum(rng: Random, length: int) -> str:
    """Return `length` random letters and digits."""
    return "".join(rng.choices(ALNUM, k=length))


def letters(rng: Random, length: int) -> str:
    """Return `length` random lower-case letters."""
    return "".join(rng.choices(LETTERS, k=length))


def digits(rng: Random, length: int) -> str:
    """Return `length` random digits, the first not 0."""
    return str(rng.randrange(10 ** (length - 1), 10**length))


def hexes(rng: Random, length: int) -> str:
    """Return `length` random lower-case hexadecimal digits."""
    return f"{rng.getrandbits(4 * length):0{length}x}"


def base64(rng: Random, size: int) -> str:
    """Return base64 of `size` random bytes, on one line."""
    return b64encode(rng.randbytes(size)).decode("ascii")


def urlsafe(rng: Random, size: int) -> str:
    """Return URL-safe base64 of `size` random bytes, as in tracking links."""
    return base64(rng, size).replace("+", "-").replace("/", "_").rstrip("=")


def uuid(rng: Random) -> str:
    """Return a random string in the form of a version 4 UUID."""
    text = hexes(rng, 32)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def public_ip(rng: Random) -> str:
    """Draw an IPv4 address outside the private, loopback, link-local and multicast ranges."""
    first = rng.choice(_FIRST_OCTETS)
    return f"{first}.{rng.randrange(20, 160)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"


def folded(text: str, width: int = 72, indent: str = "\r\n\t") -> str:
    """Return `text` cut into header continuation lines."""
    return indent.join(text[i : i + width] for i in range(0, len(text), width))
