"""Colours of CSS in other forms than rgb() and hsl(): hwb(), lab(), oklch(), color(), color-mix() and light-dark()."""

import colorsys
import math
import re
from collections.abc import Callable

_Colour = tuple[int, int, int]
_Read = Callable[[str], tuple[_Colour | None, bool]]

_CALL = re.compile(r"(hwb|(?:ok)?(?:lab|lch)|color|color-mix|light-dark)\((.*)\)")
_NUMBER = re.compile(r"([-+]?(?:\d{1,9}+(?:\.\d*+)?|\.\d++))(%|deg)?")
_NAME = re.compile(r"(?<![a-z0-9-])[a-z0-9-]++ ")
# A comma, or a parenthesis.
_SIGN = re.compile(r"[(),]")
_SHARE = re.compile(r" (\d{1,3}(?:\.\d*+)?)%\Z")
# A colour with less opacity cannot be seen.
_MIN_OPACITY = 0.1
# What a percentage of 100 of each part means.
_WHOLE = {
    "hwb": (360.0, 1.0, 1.0),
    "lab": (100.0, 125.0, 125.0),
    "lch": (100.0, 150.0, 360.0),
    "oklab": (1.0, 0.4, 0.4),
    "oklch": (1.0, 0.4, 360.0),
    "color": (1.0, 1.0, 1.0),
}
# The matrices of CSS Color Level 4: from XYZ at D50, and from the cone responses of Oklab, to linear sRGB.
_FROM_XYZ = (
    (3.1341359570, -1.6173863322, -0.4906619460),
    (-0.9787955029, 1.9162545673, 0.0334427312),
    (0.0719553799, -0.2289768264, 1.4053860583),
)
_FROM_CONES = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)
_WHITE_POINT = (0.9642956764, 1.0, 0.8251046025)


def read_function(value: str, read: _Read) -> tuple[_Colour | None, bool]:
    """Return a colour (None if `value` is not a known one), and whether it is transparent.

    `value` is as for `read_colour`, which is `read`.
    """
    match = _CALL.fullmatch(value)
    if match is None:
        return None, False
    name, inside = match[1], match[2].strip()
    if name == "light-dark":
        return read(_arguments(inside)[0])
    if name == "color-mix":
        return _mixed(_arguments(inside)[1:], read)
    if name == "color":
        space = _NAME.match(inside)
        if space is None or space[0] not in ("srgb ", "display-p3 ", "a98-rgb ", "prophoto-rgb ", "rec2020 "):
            return None, False
        inside = inside[space.end() :]
    inside, _, alpha = inside.partition("/")
    parts = [_number(word, whole) for word, whole in zip(inside.split(), _WHOLE[name], strict=False)]
    opacity = _number(alpha.strip(), 1.0) if alpha else 1.0
    if len(parts) != 3 or None in parts or opacity is None:
        return None, False
    one, two, three = (float(part or 0) for part in parts)
    red, green, blue = _RGB[name](one, two, three)
    return (_byte(red), _byte(green), _byte(blue)), opacity < _MIN_OPACITY


def _arguments(inside: str) -> list[str]:
    """Return the arguments of a function, which commas outside of further parentheses separate."""
    pieces, depth, start = [], 0, 0
    for sign in _SIGN.finditer(inside):
        if sign[0] == ",":
            if not depth:
                pieces.append(inside[start : sign.start()].strip())
                start = sign.end()
        else:
            depth += 1 if sign[0] == "(" else -1
    return [*pieces, inside[start:].strip()]


def _mixed(colours: list[str], read: _Read) -> tuple[_Colour | None, bool]:
    """Return the mixture of two colours, each with a percentage or not. All spaces are read as sRGB."""
    if len(colours) != 2:
        return None, False
    shares = [float(match[1]) / 100 if (match := _SHARE.search(colour)) else None for colour in colours]
    (one, one_clear), (other, other_clear) = (read(_SHARE.sub("", colour)) for colour in colours)
    first = shares[0] if shares[0] is not None else 1 - shares[1] if shares[1] is not None else 0.5
    second = shares[1] if shares[1] is not None else 1 - first
    if not first + second > 0:
        return None, False
    first = min(max(first / (first + second), 0), 1)
    if one_clear or other_clear:
        opaque = (0 if one_clear else first) + (0 if other_clear else 1 - first)
        return (other if one_clear else one), opaque < _MIN_OPACITY
    if one is None or other is None:
        return None, False
    red, green, blue = (round(left * first + right * (1 - first)) for left, right in zip(one, other, strict=True))
    return (red, green, blue), False


def _number(word: str, whole: float) -> float | None:
    """Return a number, of which 100% is `whole`, or None if `word` is none."""
    if word == "none":
        return 0.0
    match = _NUMBER.fullmatch(word)
    if match is None:
        return None
    return min(max(float(match[1]) * (whole / 100 if match[2] == "%" else 1), -1_000), 1_000)


def _from_hwb(hue: float, white: float, black: float) -> tuple[float, ...]:
    # Without the sign, a number is a percentage too.
    white, black = (share / 100 if share > 1 else max(share, 0) for share in (white, black))
    if white + black >= 1:
        return (white / (white + black),) * 3
    pure = colorsys.hls_to_rgb(hue % 360 / 360, 0.5, 1)
    return tuple(part * (1 - white - black) + white for part in pure)


def _from_lab(lightness: float, a: float, b: float) -> tuple[float, ...]:
    middle = (lightness + 16) / 116
    parts = (middle + a / 500, middle, middle - b / 200)
    edge = 6 / 29
    return _linear(
        _FROM_XYZ,
        [
            white * (part**3 if part > edge else 3 * edge * edge * (part - 4 / 29))
            for part, white in zip(parts, _WHITE_POINT, strict=True)
        ],
    )


def _from_oklab(lightness: float, a: float, b: float) -> tuple[float, ...]:
    cones = (
        lightness + 0.3963377774 * a + 0.2158037573 * b,
        lightness - 0.1055613458 * a - 0.0638541728 * b,
        lightness - 0.0894841775 * a - 1.2914855480 * b,
    )
    return _linear(_FROM_CONES, [cone**3 for cone in cones])


def _linear(matrix: tuple[tuple[float, ...], ...], values: list[float]) -> tuple[float, ...]:
    """Return sRGB, from 0 to 1, of values that a matrix converts to linear sRGB."""
    shares = (sum(map(float.__mul__, row, values)) for row in matrix)
    return tuple(12.92 * share if share <= 0.0031308 else 1.055 * share ** (1 / 2.4) - 0.055 for share in shares)


def _polar(chroma: float, hue: float) -> tuple[float, float]:
    angle = math.radians(hue)
    return chroma * math.cos(angle), chroma * math.sin(angle)


_RGB: dict[str, Callable[[float, float, float], tuple[float, ...]]] = {
    "hwb": _from_hwb,
    "lab": _from_lab,
    "lch": lambda lightness, chroma, hue: _from_lab(lightness, *_polar(chroma, hue)),
    "oklab": _from_oklab,
    "oklch": lambda lightness, chroma, hue: _from_oklab(lightness, *_polar(chroma, hue)),
    "color": lambda red, green, blue: (red, green, blue),
}


def _byte(share: float) -> int:
    return round(255 * min(max(share, 0), 1))
