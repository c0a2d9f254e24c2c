"""Media queries: which style sheets and rules apply to the screen on which the page is shown."""

import re

# The width of the window in which the page is shown.
_WIDTH = 1_000.0

_FEATURE = re.compile(r"\(\s*+([\w-]++)\s*+(?::([^()]*+))?\)")
_WIDTH_VALUE = re.compile(r"([\d.]{1,9})(px|em|rem|pt)?")


def applies(media: str) -> bool:
    """Return whether rules for `media` apply to a wide screen. An unknown feature does not apply."""
    return any(map(_applies, media.lower().split(",")))


def _applies(query: str) -> bool:
    words = _FEATURE.sub(" ", query).replace("only ", " ").split()
    if any(word not in ("screen", "all", "and") for word in words):
        return False
    return all(_has_feature(match[1], (match[2] or "").strip()) for match in _FEATURE.finditer(query))


def _has_feature(name: str, value: str) -> bool:
    if name in ("min-width", "max-width", "min-device-width", "max-device-width"):
        width = _WIDTH_VALUE.fullmatch(value)
        if width is None or width[1].count(".") > 1 or width[1] == ".":
            return False
        pixels = float(width[1]) * (16 if width[2] in ("em", "rem") else 1)
        return pixels <= _WIDTH if name.startswith("min") else pixels >= _WIDTH
    # A feature that every screen has: -webkit-min-device-pixel-ratio:0, min-resolution:.001dpcm.
    return "min-" in name and value.lstrip("0.") in ("", "1", "1dpcm", "1dpi", "dpi")
