"""Colours of style sheets and old attributes as numbers of red, green and blue."""

import colorsys
import re
from functools import lru_cache

from spamlstm.message.colour_spaces import read_function

Colour = tuple[int, int, int]
"""Red, green and blue, from 0 to 255 each."""

# Two colours are near if no part of them differs more. #eeeeee is near white, and #e5e5e5 is not.
_NEAR = 20
# A colour with less opacity cannot be seen.
_MIN_OPACITY = 0.1
# A longer value is not a colour. Shorter values are cached until the process ends.
_MAX_LENGTH = 60
_HEX = re.compile(r"#?([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})")
_FUNCTION = re.compile(r"(rgb|hsl)a?\(([-+.\d]++%?(?:deg)?)[, ]([-+.\d]++%?)[, ]([-+.\d]++%?)(?:[,/ ]([.\d]++%?))?\)")
# The names of CSS Color Level 4, each followed by its value.
_NAMES = """
    aliceblue f0f8ff antiquewhite faebd7 aqua 00ffff aquamarine 7fffd4 azure f0ffff beige f5f5dc bisque ffe4c4 black
    000000 blanchedalmond ffebcd blue 0000ff blueviolet 8a2be2 brown a52a2a burlywood deb887 cadetblue 5f9ea0
    chartreuse 7fff00 chocolate d2691e coral ff7f50 cornflowerblue 6495ed cornsilk fff8dc crimson dc143c cyan 00ffff
    darkblue 00008b darkcyan 008b8b darkgoldenrod b8860b darkgray a9a9a9 darkgreen 006400 darkgrey a9a9a9 darkkhaki
    bdb76b darkmagenta 8b008b darkolivegreen 556b2f darkorange ff8c00 darkorchid 9932cc darkred 8b0000 darksalmon
    e9967a darkseagreen 8fbc8f darkslateblue 483d8b darkslategray 2f4f4f darkslategrey 2f4f4f darkturquoise 00ced1
    darkviolet 9400d3 deeppink ff1493 deepskyblue 00bfff dimgray 696969 dimgrey 696969 dodgerblue 1e90ff firebrick
    b22222 floralwhite fffaf0 forestgreen 228b22 fuchsia ff00ff gainsboro dcdcdc ghostwhite f8f8ff gold ffd700
    goldenrod daa520 gray 808080 green 008000 greenyellow adff2f grey 808080 honeydew f0fff0 hotpink ff69b4
    indianred cd5c5c indigo 4b0082 ivory fffff0 khaki f0e68c lavender e6e6fa lavenderblush fff0f5 lawngreen 7cfc00
    lemonchiffon fffacd lightblue add8e6 lightcoral f08080 lightcyan e0ffff lightgoldenrodyellow fafad2 lightgray
    d3d3d3 lightgreen 90ee90 lightgrey d3d3d3 lightpink ffb6c1 lightsalmon ffa07a lightseagreen 20b2aa lightskyblue
    87cefa lightslategray 778899 lightslategrey 778899 lightsteelblue b0c4de lightyellow ffffe0 lime 00ff00
    limegreen 32cd32 linen faf0e6 magenta ff00ff maroon 800000 mediumaquamarine 66cdaa mediumblue 0000cd
    mediumorchid ba55d3 mediumpurple 9370db mediumseagreen 3cb371 mediumslateblue 7b68ee mediumspringgreen 00fa9a
    mediumturquoise 48d1cc mediumvioletred c71585 midnightblue 191970 mintcream f5fffa mistyrose ffe4e1 moccasin
    ffe4b5 navajowhite ffdead navy 000080 oldlace fdf5e6 olive 808000 olivedrab 6b8e23 orange ffa500 orangered
    ff4500 orchid da70d6 palegoldenrod eee8aa palegreen 98fb98 paleturquoise afeeee palevioletred db7093 papayawhip
    ffefd5 peachpuff ffdab9 peru cd853f pink ffc0cb plum dda0dd powderblue b0e0e6 purple 800080 rebeccapurple 663399
    red ff0000 rosybrown bc8f8f royalblue 4169e1 saddlebrown 8b4513 salmon fa8072 sandybrown f4a460 seagreen 2e8b57
    seashell fff5ee sienna a0522d silver c0c0c0 skyblue 87ceeb slateblue 6a5acd slategray 708090 slategrey 708090
    snow fffafa springgreen 00ff7f steelblue 4682b4 tan d2b48c teal 008080 thistle d8bfd8 tomato ff6347 turquoise
    40e0d0 violet ee82ee wheat f5deb3 white ffffff whitesmoke f5f5f5 yellow ffff00 yellowgreen 9acd32
""".split()
_NAMED = dict(zip(_NAMES[::2], _NAMES[1::2], strict=True))


def read_colour(value: str) -> tuple[Colour | None, bool]:
    """Return a colour (None if `value` is not a known colour), and whether it is transparent.

    `value` is in lower case, with single spaces and none around commas.
    """
    return _read_colour(value) if len(value) <= _MAX_LENGTH else (None, False)


@lru_cache(maxsize=1024)
def _read_colour(value: str) -> tuple[Colour | None, bool]:
    if value == "transparent":
        return None, True
    value = _NAMED.get(value, value)
    if match := _HEX.fullmatch(value):
        digits = match[1]
        if len(digits) < 6:
            digits = "".join(digit * 2 for digit in digits)
        parts = bytes.fromhex(digits)
        return (parts[0], parts[1], parts[2]), len(parts) > 3 and parts[3] < 255 * _MIN_OPACITY
    if (match := _FUNCTION.fullmatch(value)) is None:
        return read_function(value, _read_colour) if value.endswith(")") else (None, False)
    try:
        clear = match[5] is not None and read_share(match[5]) < _MIN_OPACITY
        if match[1] == "rgb":
            red, green, blue = (_part(match[number]) for number in (2, 3, 4))
            return (red, green, blue), clear
        hue = float(match[2].removesuffix("deg").rstrip("%")) % 360 / 360
        saturation, lightness = (min(max(float(match[number].rstrip("%")) / 100, 0), 1) for number in (3, 4))
        red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, lightness, saturation))
    except ValueError:
        return None, False
    return (red, green, blue), clear


def read_share(value: str) -> float:
    """Return a number or a percentage. Raises ValueError if `value` is neither."""
    return float(value[:-1]) / 100 if value.endswith("%") else float(value)


def are_near(one: Colour, other: Colour) -> bool:
    """Return whether letters of colour `one` are practically invisible on a background of colour `other`."""
    return all(abs(left - right) <= _NEAR for left, right in zip(one, other, strict=True))


def _part(value: str) -> int:
    number = 255 * read_share(value) if value.endswith("%") else float(value.removesuffix("deg"))
    return round(min(max(number, 0), 255))
