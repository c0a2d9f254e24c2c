"""Findings of the fuzzers, each error once, as files in a folder; and the check that raises for a broken promise."""

import hashlib
import re
import traceback
from pathlib import Path

_NOT_WORD = re.compile(r"[^a-z0-9]+")


class BrokenPromiseError(AssertionError):
    """A result that a docstring of the project rules out, such as mail that is lost, doubled or changed."""


def require(kept: bool, otherwise: str, about: object = None) -> None:  # noqa: FBT001  as assert
    """Raise BrokenPromiseError with the message `otherwise`, and with `about` as a note, unless `kept`."""
    if not kept:
        error = BrokenPromiseError(otherwise)
        if about is not None:
            error.add_note(repr(about))
        raise error


class Findings:
    """A folder of findings. Several processes may write to it, also later ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, title: str, details: str, raw: bytes | None = None) -> None:
        """Save a finding, with the input `raw` that shows it. Only the first with a title is kept."""
        slug = _NOT_WORD.sub("-", title.lower()).strip("-")[:60]
        path = self.folder / f"{slug}-{hashlib.sha256(title.encode()).hexdigest()[:6]}"
        if path.with_suffix(".txt").exists():
            return
        if raw is not None:
            path.with_suffix(".eml").write_bytes(raw)
        path.with_suffix(".txt").write_text(f"{title}\n\n{details}\n", errors="backslashreplace")

    def add_error(self, where: str, error: BaseException, raw: bytes | None = None, *, more: str = "") -> None:
        """Save an exception. Those raised in one line of spamlstm are one finding, as are equal broken promises."""
        text = "".join(traceback.format_exception(error))
        what = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__} at {_place(error)}"
        self.add(f"{where}: {what}", f"{more}\n\n{text}".strip(), raw)

    def titles(self) -> list[str]:
        """Return the title of each finding."""
        return [path.read_text().partition("\n")[0] for path in sorted(self.folder.glob("*.txt"))]

    def report(self) -> int:
        """Print the findings and return the exit status."""
        titles = self.titles()
        for title in titles:
            print(f"FOUND {title}")
        print(f"{len(titles)} findings" + (f", saved in {self.folder}" if titles else ""))
        return 1 if titles else 0


def _place(error: BaseException) -> str:
    """Return the last line of the project in a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/spamlstm/" in frame.filename] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
