"""The form of the pages in docs/guide/recipes."""

import pytest
from recipe import GUIDE, Recipe

PAGES = sorted(path.stem for path in (GUIDE / "recipes").glob("*.md"))
MOST_LINES = 40
PARTS = ("When spamlstm is down", "Learning", "To check")


@pytest.mark.parametrize("name", PAGES)
def test_a_page(name, root):
    """A page is short, has all parts, is in the list of recipes, and has tests that run its files."""
    page = Recipe(f"recipes/{name}")
    lines = page.text.splitlines()
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= 120
    assert [part for part in PARTS if f"**{part}" not in page.text] == []
    assert f"](recipes/{name}.md)" in (GUIDE / "recipes.md").read_text()
    test = (root / "tests" / "recipes" / f"test_{name}_recipe.py").read_text()
    assert [file for file in page.files if f'"{file}"' not in test] == []
