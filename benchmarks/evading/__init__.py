"""Single transforms that make spam look less like spam to a program, and leave it readable for a person.

A transform takes a Letter and returns a Letter or bytes, or None if it does not apply. Its name begins with its family.
READABLE says for each family why a person can still read the message. `reads_the_same` checks this for each message,
except for the family `structure`.
"""

from .heading import HEADING
from .hiding import HIDING
from .letter import Change, Letter, read_letter, write_letter
from .lettering import LETTERING
from .linking import LINKING
from .padding import PADDING
from .reading import reads_the_same
from .structure import STRUCTURE

__all__ = ["READABLE", "TRANSFORMS", "Letter", "read_letter", "transformed", "write_letter"]

TRANSFORMS: dict[str, Change] = {**HIDING, **PADDING, **LETTERING, **HEADING, **LINKING, **STRUCTURE}

READABLE = {
    "hidden": "the text is unchanged (checked), and browsers do not show the added text",
    "padding": "the text is unchanged (checked), with other text around it",
    "letters": "each letter looks like the letter it replaces, or has marks around it (checked with a table)",
    "header": "the text is unchanged (checked)",
    "links": "the text is unchanged (checked), and browsers follow the link (WHATWG URL, HTML)",
    "structure": "mail programs repair the fault, or show the part, picture or attachment that holds the text",
}


def transformed(name: str, letter: Letter) -> bytes | None:
    """Return the bytes of a letter after a transform. None if it does not apply or a person would not read the text."""
    changed = TRANSFORMS[name](letter)
    if changed is None or isinstance(changed, bytes):
        return changed
    return write_letter(changed) if reads_the_same(letter, changed) else None
