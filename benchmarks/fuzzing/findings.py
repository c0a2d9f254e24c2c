"""What a fuzz finds, each mistake once, as files in a folder."""

import hashlib
import re
import traceback
from pathlib import Path

_NOT_WORD = re.compile(r"[^a-z0-9]+")


class Findings:
    """One folder of findings. Several processes may write to it, and a later one adds to what is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, title: str, told: str, raw: bytes | None = None) -> None:
        """Save a finding: `told` as text and `raw` as the input that shows it. The first of each title is kept."""
        slug = _NOT_WORD.sub("-", title.lower()).strip("-")[:60]
        path = self.folder / f"{slug}-{hashlib.sha256(title.encode()).hexdigest()[:6]}"
        if path.with_suffix(".txt").exists():
            return
        if raw is not None:
            path.with_suffix(".eml").write_bytes(raw)
        path.with_suffix(".txt").write_text(f"{title}\n\n{told}\n", errors="backslashreplace")

    def add_error(self, where: str, error: BaseException, raw: bytes | None = None, *, more: str = "") -> None:
        """Save an exception. Two that were raised in the same line are one finding, as are equal promises."""
        told = "".join(traceback.format_exception(error))
        what = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__} at {_place(error)}"
        self.add(f"{where}: {what}", f"{more}\n\n{told}".strip(), raw)

    def titles(self) -> list[str]:
        """The first line of each finding."""
        return [path.read_text().partition("\n")[0] for path in sorted(self.folder.glob("*.txt"))]

    def report(self) -> int:
        """Print the findings; gives the exit status."""
        titles = self.titles()
        for title in titles:
            print(f"FOUND {title}")
        print(f"{len(titles)} findings" + (f", saved in {self.folder}" if titles else ""))
        return 1 if titles else 0


def _place(error: BaseException) -> str:
    """The last line of the project itself in a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/spamlstm/" in frame.filename] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
