"""The facts of a message: (name, value) pairs from closed sets, each of which is one token to the model.

Facts of alignment travel from corpus to corpus. Facts of style tell the year and the server more than the class. They
are kept apart so that training can hide either (docs/decisions/0003-rendering.md).
"""

Fact = tuple[str, str]


def bucket(value: int, *steps: tuple[int, str], last: str) -> str:
    """Return the name of the first step whose bound is above `value`, or `last`."""
    for bound, name in steps:
        if value < bound:
            return name
    return last
