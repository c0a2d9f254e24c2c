"""The mail that a command trains on, read with a progress bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import progress

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from .dataset import Dataset, Limits
    from .generated import Modern


def read_mail(
    console: Console,
    paths: list[Path],
    *,
    first: int | None,
    synthetic: int,
    seed: int,
    threads: int,
    style: bool = True,
    modern: Modern | None = None,
    evaded: float = 0.0,
    kept: Path | None = None,
) -> tuple[Dataset, Limits]:
    """Read the mail of corpora, and add the generated mail and the disguised copies that the options ask for.

    `threads` is the number of threads of torch in this process, or 0 for its default. With `kept`, the rendered mail is
    read from this file if it was kept from the same corpora and options, and otherwise written to it.
    """
    import torch

    from . import dataset

    if threads:
        torch.set_num_threads(threads)
    limits = dataset.Limits(style=style)
    options: dict[str, Any] = {
        "limits": limits,
        "first": first,
        "synthetic": synthetic,
        "seed": seed,
        "modern": modern,
        "evaded": evaded,
    }
    with progress.shown(console, "reading") as tick:
        data = (
            dataset.load_kept(kept, paths, **options, tick=tick) if kept else dataset.load(paths, **options, tick=tick)
        )
    progress.say(console, f"{len(data):,} messages in {len(set(data.group.tolist())):,} groups")
    return data, limits
