"""Common words, which show that letters in disguise are read as they were meant."""

import re

# Words that no language writes with marks. Vietnamese, for example, has decorated forms of `the`, `that` and `not`.
COMMON_WORDS = frozenset(
    "you your with will have and all our are from was this what when which click here please money within account"
    " video videos reply nicht wird sich ihre vous votre avec dans usted".split()
)
_WORD = re.compile(r"[^\W\d_]+")


def common_words(text: str) -> int:
    """Return how many words of a text are common."""
    return sum(word in COMMON_WORDS for word in _WORD.findall(text.lower()))
