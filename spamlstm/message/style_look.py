"""The look of an element: whether its declarations hide it, the colour of its letters, and its background.

A declaration is a CSS property with its value. Only a small part of CSS is read.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from spamlstm.message.colours import Colour, are_near, read_colour, read_share
from spamlstm.message.css_values import resolved, unescaped

# A background that is a picture, a gradient or an unknown colour. It is near no colour.
UNKNOWN: Colour = (-1000, -1000, -1000)
# Letters that are seen on each background, as they have an outline. The colour is near no background.
_OUTLINED: Colour = (2000, 2000, 2000)
# Longer styles are not cached, because entries are kept until the process ends.
_MAX_CACHED = 500
_COLOUR_AROUND = ("inherit", "unset", "currentcolor")
_NO_BACKGROUND = frozenset(("", "transparent", "none", "inherit", "initial", "unset", "0", "0 0"))
_READ = frozenset(
    "display visibility opacity font-size font height max-height width max-width overflow overflow-x overflow-y"
    " line-height clip clip-path transform position left right top bottom margin-left text-indent color float"
    " -webkit-text-fill-color background background-color background-image"
    " text-shadow -webkit-text-stroke -webkit-text-stroke-color box-shadow filter mix-blend-mode"
    " content-visibility zoom".split()
)
# Properties that matter only beside one of those above.
_READ_BESIDE = frozenset(
    "padding padding-top padding-right padding-bottom padding-left min-height min-width background-clip"
    " -webkit-background-clip".split()
)
_PAINTING = ("background", "background-color", "background-image")
# Comments, strings and parentheses. A semicolon or brace in them separates nothing.
_ENCLOSED = re.compile(
    r"/\*(?>[^*]++|\*(?!/))*+(?:\*/)?|\"(?>[^\"\\\n]++|\\.)*+\"?|'(?>[^'\\\n]++|\\.)*+'?|\([^)\"']*+\)?", re.DOTALL
)
_MAY_ENCLOSE = re.compile(r"/\*|[\"'(][^\"'();{}]*+[;{}]")
_NO_SEPARATORS = str.maketrans(";{}", "   ")
# Properties that give letters or their background other colours than `color` and `background` do.
_OUTLINES = ("text-shadow", "-webkit-text-stroke", "-webkit-text-stroke-color")
_WORD = re.compile(r"[^ ,()]++(?:\([^()]*+\))?")
_FILTERED = re.compile(r"opacity\(([.\d]++%?)\)")
_RECOLOURED = re.compile(r"invert|brightness|drop-shadow")
# Without any of these properties, nothing is cut off or moved away.
_UNUSUAL = frozenset(
    "overflow overflow-x overflow-y clip clip-path transform text-indent margin-left left top right bottom".split()
)
_LENGTH = re.compile(r"(?:calc\()?([-+]?(?:\d++(?:\.\d*+)?|\.\d++))([a-z]*+|%)\)?")
_PIXELS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 38.0, "mm": 3.8, "%": 10.0}
_FONT_SIZE = re.compile(r"(?:^| )([-+.\d]++(?:[a-z]++|%)?)(?:/[^ ]++)? ")
# Shapes and movements that leave nothing to see.
_EMPTY_CLIP = re.compile(r"rect\((?:(?:[01](?:px|pt)?|auto)[, ]?){4}\)")
_EMPTY_PATH = re.compile(
    r"(?:inset\((?:(?:[5-9]\d|1\d\d)(?:\.\d+)?% ?)+\)|inset\((?:[-+.\d][^ )]*+ )*1\d\d(?:\.\d+)?%"
    r"|(?:circle|ellipse)\(0(?![.\d])|polygon\([0a-z%, ]++\))"
)
_EMPTY_TRANSFORM = re.compile(
    r"scale(?:[xy]|3d)?\(0(?:\.0\d*)?(?![.\d])|matrix\(0(?![.\d])|translate(?:[xy]|3d)?\((?:[^,()]*+,)?-(?:[5-9]\d\d|\d{4,})"
)
# Text this many pixels left of or above its place is off the screen. A page may move a centred element half its width,
# and Word begins the first line of a paragraph far left of the others.
_OFF_PLACE, _OFF_MARGIN = -500.0, -900.0
# Room in an element without height or width, in which a line of text is seen.
_ROOM = 8.0


class Look(NamedTuple):
    """The look of an element.

    `hiding` is the kind of declaration that hides the element, or ''. `boxed` means that the element is a box of its
    own even if its tag is that of inline text. `sized` and `seen` mean that the size of letters and the visibility do
    not follow the element around. `displayed` means that the attribute `hidden` has no effect.
    `coloured` means that the letters have a colour of their own, which may be unknown. `uncoloured` means that they
    have the colour of the element around, also in a link.
    """

    hiding: str = ""
    colour: Colour | None = None
    background: Colour | None = None
    boxed: bool = False
    sized: bool = False
    seen: bool = False
    displayed: bool = False
    coloured: bool = False
    uncoloured: bool = False


def look_of(style: str, colour: str = "", background: str = "") -> Look:
    """Return the look that declarations and the attributes `color` and `bgcolor` give.

    The last of several declarations of a property has priority, after those with !important.
    """
    return (_cached_look if len(style) <= _MAX_CACHED else _look)(style, colour, background)


def separated_css(text: str) -> str:
    """Return CSS without comments, in which all semicolons and braces separate, as those in strings are removed.

    A comment that has no end reaches to the end. Names are written without escapes.
    """
    text = unescaped(text)
    return _ENCLOSED.sub(_without_separators, text) if _MAY_ENCLOSE.search(text) else text


def _without_separators(match: re.Match[str]) -> str:
    return " " if match[0].startswith("/*") else match[0].translate(_NO_SEPARATORS)


def has_look(style: str) -> bool:
    """Return whether declarations may contribute to a look."""
    low = style.lower()
    return "background" in low or any(item.partition(":")[0].strip() in _READ for item in low.split(";"))


def _look(style: str, colour: str, background: str) -> Look:
    declared: dict[str, str] = {}
    important: dict[str, str] = {}
    painted = [background.strip().lower()]
    style = separated_css(style.lower())
    for declaration in (resolved(style, {}) if "var(" in style else style).split(";"):
        name, _, value = declaration.partition(":")
        if (name := name.strip()) not in _READ and name not in _READ_BESIDE:
            continue
        value = " ".join(value.split())
        if " " in value:
            value = value.replace(", ", ",").replace(" ,", ",").replace(" / ", "/")
        value, mark, important_mark = value.partition("!")
        if mark and important_mark.strip() != "important":
            continue
        if name in _PAINTING:
            painted.append(value.strip())
        else:
            (important if mark else declared)[name] = value.strip()
    declared |= important
    colour_set = declared.get("-webkit-text-fill-color") or declared.get("color") or colour.strip().lower()
    letters, clear = read_colour(colour_set)
    if (letters or clear) and (other := _other_colour(declared, None if clear else letters)):
        letters, clear = other, False
    hiding = (declared and _hiding(declared)) or ("clear" if clear else "")
    painted = [paint for paint in painted if paint not in _NO_BACKGROUND]
    size = _font_size(declared)
    return Look(
        hiding,
        letters,
        _paint(painted[-1]) if painted else None,
        boxed=declared.get("display", "inline") != "inline" or "float" in declared or _is_placed(declared),
        # A size in em or % of 0 is 0.
        sized=size not in ("", "inherit") and not size.endswith(("em", "%")) and hiding != "size",
        seen=declared.get("visibility") in ("visible", "initial"),
        coloured=colour_set not in ("", *_COLOUR_AROUND),
        uncoloured=colour_set in _COLOUR_AROUND,
        displayed=declared.get("display", "none") not in ("none", "inherit", "unset"),
    )


_cached_look = lru_cache(maxsize=2048)(_look)


def _other_colour(declared: dict[str, str], letters: Colour | None) -> Colour | None:
    """Return the colour in which letters are seen although `letters`, their colour, is that of the background.

    `letters` is None if the colour is clear. Then a shadow shows them in its colour. Return None if they are not seen.
    """
    get = declared.get
    read = [read_colour(word) for word in _WORD.findall(" ".join([get(name, "") for name in _OUTLINES]))]
    outlines = {
        colour for colour, clear in read if colour and not clear and not (letters and are_near(colour, letters))
    }
    if letters is None and len(outlines) == 1:
        return outlines.pop()
    if (
        outlines
        or "text" in (get("background-clip"), get("-webkit-background-clip"))
        or "inset" in get("box-shadow", "")
        or get("mix-blend-mode", "normal") != "normal"
        or _RECOLOURED.search(get("filter", "")) is not None
    ):
        return _OUTLINED
    return None


def _paint(value: str) -> Colour:
    """Return the colour of a background."""
    colour, clear = read_colour(value)
    if colour is None and not clear and "(" not in value:
        colour = next((known for word in value.split() if (known := read_colour(word)[0])), None)
    return UNKNOWN if colour is None or clear else colour


def _hiding(declared: dict[str, str]) -> str:
    """Return the kind of declaration that hides an element, or ''."""
    get = declared.get
    if get("display") == "none":
        return "display"
    if get("visibility") in ("hidden", "collapse"):
        return "visibility"
    try:
        if "opacity" in declared and read_share(declared["opacity"]) < 0.1:
            return "opacity"
        if "filter" in declared and (share := _FILTERED.search(declared["filter"])) and read_share(share[1]) < 0.1:
            return "opacity"
        # Browsers do not apply a size of 0.
        if "zoom" in declared and 0 < read_share(declared["zoom"]) < 0.1:
            return "zoom"
    except ValueError:
        pass
    if _is_tiny(_font_size(declared)):
        return "size"
    if get("content-visibility") == "hidden":
        return "box"
    if _UNUSUAL.isdisjoint(declared) or get("display") == "contents":
        return ""
    if any(get(name) in ("hidden", "clip") for name in ("overflow", "overflow-x", "overflow-y")) and _is_flat(declared):
        return "box"
    placed = _is_placed(declared)
    if (
        (placed and _EMPTY_CLIP.match(get("clip", "")))
        or _EMPTY_PATH.match(get("clip-path", ""))
        or _EMPTY_TRANSFORM.search(get("transform", ""))
    ):
        return "clip"
    if min(_pixels(get(name, "")) for name in ("text-indent", "margin-left")) <= _OFF_MARGIN or (
        (placed or get("position") == "relative")
        and min(_pixels(get(side, "")) for side in ("left", "top", "right", "bottom")) <= _OFF_PLACE
    ):
        return "place"
    return ""


def _font_size(declared: dict[str, str]) -> str:
    """Return the size of letters that declarations give, or ''."""
    if "font-size" in declared:
        return declared["font-size"]
    match = _FONT_SIZE.search(declared.get("font", ""))
    return match[1] if match else ""


def _is_flat(declared: dict[str, str]) -> bool:
    """Return whether an element has no height or no width, and no padding in which its text is seen."""
    get = declared.get
    padding = get("padding", "").split() or [""]
    top, right, bottom = padding[0], padding[min(1, len(padding) - 1)], padding[2 if len(padding) > 2 else 0]
    for sizes, room in (
        (
            ("height", "max-height", "line-height"),
            (get("padding-top", top), get("padding-bottom", bottom), get("min-height")),
        ),
        (("width", "max-width"), (get("padding-left", right), get("padding-right", right), get("min-width"))),
    ):
        if any(_is_tiny(get(name, "")) for name in sizes) and all(_pixels(value or "") < _ROOM for value in room):
            return True
    return False


def _is_placed(declared: dict[str, str]) -> bool:
    return declared.get("position") in ("absolute", "fixed")


def _pixels(value: str) -> float:
    """Return a length in pixels, roughly, or 0 if `value` is not a length."""
    match = _LENGTH.fullmatch(value)
    return float(match[1]) * _PIXELS.get(match[2], 16.0) if match else 0.0


def _is_tiny(value: str) -> bool:
    """Return whether a length is 0 or nearly 0: less than two pixels, points or per cent, or 0.1 em."""
    match = _LENGTH.fullmatch(value)
    if match is None:
        return False
    number, unit = float(match[1]), match[2]
    return number < (2 if unit in ("px", "pt", "%") else 0.1)
