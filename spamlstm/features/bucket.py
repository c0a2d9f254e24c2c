"""Numbers as names, of which a closed set can hold all."""


def bucket(value: int, *steps: tuple[int, str], last: str) -> str:
    """The name of the first step whose bound `value` is below."""
    for bound, name in steps:
        if value < bound:
            return name
    return last
