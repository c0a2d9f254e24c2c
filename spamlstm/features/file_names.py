"""What the name of an attached file says about it: its kind by the ending, and whether the name hides the kind."""

import re
from collections.abc import Iterator

from spamlstm.features.invisible import BLANKS, COMMON_ZERO_WIDTH, DIRECTIONS
from spamlstm.message.part_text import file_ending, split_name

FILE_KINDS = (
    "document", "archive", "page", "program", "image", "calendar", "message", "other", "macros", "disguised",
)  # fmt: skip
"""The values of the fact `file`. `macros` are documents that may contain a program."""

_ENDINGS = {
    "document": "pdf doc docx xls xlsx ppt pptx rtf odt ods odp txt csv",
    "macros": "docm dotm xlsm xlsb xltm xlam pptm ppsm ppam",
    "archive": "zip rar 7z gz tgz bz2 xz iso img vhd vhdx wim cab arj ace z",
    "page": "html htm shtml xhtml xht mht mhtml svg",
    "program": "exe scr com bat cmd js jse vbs vbe wsf wsh jar jnlp lnk url ps1 psm1 msi msix appx msc cpl dll xll pif"
    " hta apk one rdp",
    "image": "gif jpg jpeg png bmp webp tif tiff heic heif avif",
    "calendar": "ics vcf",
    "message": "eml msg patch diff asc p7s sig",
}
KIND_BY_ENDING = {end: kind for kind, ends in _ENDINGS.items() for end in ends.split()}
"""The kind of a file by the ending of its name, in lower case without a dot."""

# Kinds that run or open in the browser.
_ACTIVE = ("program", "page")
# Endings behind which a page hides. Reports of programs are often named `coverage.txt.html`.
_PICTURES = frozenset("jpg jpeg png gif".split())
_SHOWN = _PICTURES | frozenset("pdf doc docx xls xlsx ppt pptx rtf odt ods odp".split())
# Endings behind which a program hides.
_HARMLESS = frozenset(KIND_BY_ENDING) - frozenset(_ENDINGS["program"].split()) | frozenset(
    "mp3 mp4 mov avi wav".split()
)
# Characters with which a name hides its ending. The rare characters without a width are left out until the next version
# of the rendered text, which they would change.
_INVISIBLE = re.compile(f"[{COMMON_ZERO_WIDTH}{BLANKS}]")
# Behind such a character, the ending is not shown last.
_DIRECTION = re.compile(f"[{DIRECTIONS}]")
_SPACES = " \t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000_."
# At least so many spaces before the ending push it out of sight.
_LONG_GAP = 8


def file_kinds(name: str, mime_type: str) -> Iterator[str]:
    """Yield the kind of a file, a value in FILE_KINDS, and `disguised` if its name hides the kind."""
    kind = KIND_BY_ENDING.get(file_ending(name))
    if kind is None:
        kind = "image" if mime_type.startswith("image/") else "document" if mime_type == "application/pdf" else "other"
    yield kind
    if kind in _ACTIVE and _is_disguised(name):
        yield "disguised"


def _is_disguised(name: str) -> bool:
    """Return whether the name of a program or page looks like that of another kind, as in `invoice.pdf.exe`."""
    stem, ending = split_name(name)
    stem = _INVISIBLE.sub(" ", stem)
    shown = stem.rstrip(_SPACES)
    if len(stem) - len(shown) >= _LONG_GAP or _DIRECTION.search(stem):
        return True
    if KIND_BY_ENDING[ending] == "program":
        return file_ending(shown) in _HARMLESS
    # Programs that convert pictures write `logo.png.svg`.
    return file_ending(shown) in (_SHOWN - _PICTURES if ending == "svg" else _SHOWN)
