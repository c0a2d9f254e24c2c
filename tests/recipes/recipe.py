"""A page of docs/guide/recipes. Tests give the files on the page to the real programs, so page and program agree."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide"
PROGRAM = "/usr/local/bin/spamlstm"
"""The command in the files of the pages."""
SERVERS = Path("/opt/mail-servers")
"""Where `.ci/run` unpacks the mail servers that Debian does not install beside another one."""

_FILE = re.compile(r"^In `([^`\n]+)`[^:]*:\n\n((?: {4}.*\n|\n)+)", re.MULTILINE)


class Recipe:
    """A page, by its path in the guide without the suffix.

    After a paragraph "In `NAME`, …:", an indented block is the content of the file NAME.
    """

    def __init__(self, name: str) -> None:
        self.text = (GUIDE / f"{name}.md").read_text()
        self.files = dict(_files(self.text))

    def file(self, name: str, places: Mapping[str, object]) -> str:
        """Return a file of the page. `places` are words of the page, and what stands in their place here.

        Each of these words must occur in the file.
        """
        content = self.files[name]
        for word, here in places.items():
            assert word in content, f"{word} is not in {name}"
            content = content.replace(word, str(here))
        return content

    def write(self, name: str, path: Path, places: Mapping[str, object]) -> Path:
        """Write a file of the page to `path`, and return the path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.file(name, places))
        return path


def _files(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the content of each file on the page."""
    for found in _FILE.finditer(text):
        lines = [line.removeprefix("    ") for line in found[2].strip("\n").splitlines()]
        yield found[1], "\n".join(lines) + "\n"
