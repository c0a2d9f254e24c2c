"""Media queries: style sheets for a wide screen apply, all others do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.message.media_query import applies


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        ("screen", True),
        ("all", True),
        ("print", False),
        ("print, screen", True),
        ("only screen and (max-width: 600px)", False),
        ("(max-width: 62.4em)", False),
        ("(max-width: 62.5em)", True),
        ("(min-width: 1000px)", True),
        ("(min-width: 1001px)", False),
        ("(min-width: 1000)", True),
        ("(min-width: 1.2.3px)", False),
        ("(min-width: .)", False),
        ("(min-width: 1vw)", False),
        ("(min-resolution: .001dpcm)", True),
        ("(-webkit-min-device-pixel-ratio:0)", True),
        ("(-webkit-min-device-pixel-ratio:2)", False),
        ("(prefers-color-scheme: dark)", False),
        ("not print", False),
        ("SCREEN AND (MIN-WIDTH: 1PX)", True),
    ],
)
def test_applies(media, expected):
    """The screen is 1,000 pixels wide. Unknown features and words do not apply."""
    assert applies(media) is expected


@given(st.text(alphabet="screnpit()-:width.0129px, and", max_size=40))
def test_any_text(media):
    """Any text applies or does not, without an error."""
    assert applies(media) in (True, False)
