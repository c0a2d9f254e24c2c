"""Numbers and paths in sentences for users."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 label`, `2,000 labels`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def is_or_are(number: int) -> str:
    """Return the verb for a number of things."""
    return "is" if number == 1 else "are"


def in_shell(path: object) -> str:
    """Return a path as a word of a command that a user may copy into a shell. Other users may have chosen the path."""
    import shlex  # only needed for errors

    return shlex.quote(str(path))
