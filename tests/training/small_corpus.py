"""Small made-up corpora: short letters whose class shows in a few words among many that both classes share."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

SHARED = """the a of and to in for on with we you your our this that it is was will can please find more about today
week month office group list page number name address account order letter time people work home city water paper
light music house garden river morning evening winter summer green yellow small large early late first second
""".split()
HAMMY = "meeting agenda minutes draft review schedule lunch colleague thesis seminar".split()
SPAMMY = "pills prize winner casino lottery cheap discount miracle urgent transfer".split()


def letters(
    *,
    seed: int,
    count: int,
    telling: float = 0.2,
    hammy: Sequence[str] = HAMMY,
    spammy: Sequence[str] = SPAMMY,
) -> Iterator[tuple[str, bytes]]:
    """Yield `count` pairs (label, raw message), ham and spam in turn; the share `telling` of words shows the class."""
    rng = random.Random(seed)
    for number in range(count):
        label = "spam" if number % 2 else "ham"
        words = spammy if label == "spam" else hammy
        chosen = [rng.choice(words if rng.random() < telling else SHARED) for _ in range(rng.randint(15, 40))]
        yield label, _mail(rng, chosen)


def _mail(rng: random.Random, words: list[str]) -> bytes:
    sender = f"{rng.choice(SHARED)}{rng.randint(1, 99)}@{rng.choice(SHARED)}.example"
    head = (
        f"From: {rng.choice(SHARED).title()} <{sender}>\r\n"
        "To: bob@receiver.example\r\n"
        f"Subject: {' '.join(rng.sample(SHARED, 3))}\r\n"
        f"Message-ID: <{rng.randint(10**6, 10**7)}@{sender.partition('@')[2]}>\r\n"
        "Date: Mon, 3 Mar 2025 10:00:00 +0000\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    )
    return f"{head}\r\n{' '.join(words)}.\r\n".encode()


def folder(path: Path, *, seed: int = 1, count: int = 300, labels: tuple[str, ...] = ("ham", "spam")) -> Path:
    """Write a folder with ham/ and spam/; the source is its name."""
    for number, (label, raw) in enumerate(letters(seed=seed, count=count)):
        if label in labels:
            file = path / label / f"{number:04}.eml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(raw)
    return path


def indexed(path: Path, sources: dict[str, int], *, seed: int = 1) -> Path:
    """Write a folder with an index and the given number of letters of each source, in that order."""
    (path / "mail").mkdir(parents=True)
    lines = ["id\tlabel\tsource\tdate"]
    for place, (source, count) in enumerate(sources.items()):
        for number, (label, raw) in enumerate(letters(seed=seed + place, count=count)):
            name = f"{source}-{number:04}"
            (path / "mail" / f"{name}.eml").write_bytes(raw)
            lines.append(f"{name}\t{label}\t{source}/part\t{2020 + 4 * number // count}-01-01")
    (path / "index.tsv").write_text("\n".join(lines) + "\n")
    return path
