"""`python -m training`: train a model on labelled mail, fine-tune one, and compare networks."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from spamlstm.errors import ExitStatus, UserError
from spamlstm.model.bundle import MANIFEST

from . import options, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    help="Train a model on labelled mail, fine-tune one, or compare networks.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text, in which brackets are shown
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console(stderr=True)

EX_USAGE = 64
EX_IOERR = 74
BY_SIGNAL = 128
# The base class of Typer's usage errors is not public, and its module depends on the version.
ClickError: type[typer.BadParameter] = typer.BadParameter.__mro__[2]


@app.command()
def fit(
    *,
    corpus: options.Corpora,
    out: options.Out,
    without: options.Without = None,
    first: options.First = None,
    epochs: options.Epochs = 6,
    per_epoch: options.PerEpoch = 50_000,
    vocabulary: options.Vocabulary = 16_000,
    synthetic: options.Synthetic = 30_000,
    synthetic_share: options.Share = None,
    modern: options.ModernFolder = None,
    modern_count: options.ModernCount = None,
    modern_share: options.ModernShare = None,
    evaded: options.Evaded = 0.0,
    evaded_share: options.EvadedShare = None,
    weight: options.Weights = None,
    wide_rate: options.WideRate = 0.2,
    wide_parts: options.WideParts = 4,
    bare: options.Bare = 0.3,
    lent: options.Lent = 0.2,
    deep_rows: options.DeepRows = 2.0,
    seed: options.Seed = 1,
    kept: options.Kept = None,
    threads: options.Threads = 0,
    name: Annotated[str, typer.Option(help="The model's name.")] = "default",
    version: Annotated[str, typer.Option(help="The model's version.")] = "1",
    device: options.Device = "auto",
    folds: Annotated[bool, typer.Option(help="Calibrate on sources that are left out of training.")] = True,
    fold: Annotated[list[str] | None, typer.Option(help="Sources A,B,C to leave out instead of the defaults.")] = None,
    slim: Annotated[
        bool, typer.Option(help="Write no exact weights; fine-tuning then starts from those of int8.")
    ] = False,
    network: Annotated[Path | None, typer.Option(help="Reuse the network of this bundle; only calibrate.")] = None,
) -> None:
    """Train a bundle on labelled mail and write it to OUT.

    If interrupted, the same command continues after the last finished epoch.

    Example: python -m training fit --corpus ~/Maildir-labelled --out my-model
    """
    from . import fit as fitting
    from . import run_folder

    run_folder.check_replaceable(out, holds=MANIFEST)
    if fold and not folds:
        raise UserError("--fold has no effect with --no-folds; leave out one of them")
    chosen = options.TrainingOptions(
        corpus=corpus,
        epochs=epochs,
        per_epoch=per_epoch,
        vocabulary=vocabulary,
        synthetic=synthetic,
        synthetic_share=synthetic_share,
        modern=modern,
        modern_count=modern_count,
        modern_share=modern_share,
        evaded=evaded,
        evaded_share=evaded_share,
        seed=seed,
        kept=kept,
        threads=threads,
    )
    recipe = replace(chosen.recipe(), wide_rate=wide_rate, wide_parts=wide_parts)
    recipe = replace(recipe, bare=bare, lent=lent, deep_rows=deep_rows)
    recipe = replace(recipe, weights=tuple(map(options.chosen_weight, weight or ())))
    data, limits = chosen.read_mail(console, first=first)
    left_out = tuple(tuple(names.split(",")) for names in fold or ())
    fitting.check_sources(data, [name for names in left_out for name in names], option="--fold")
    with progress.shown(console, "training", each=per_epoch) as tick:
        job = fitting.Job(
            recipe=recipe,
            limits=limits,
            out=out,
            name=name,
            version=version,
            device=options.chosen_device(device),
            corpora=tuple(str(path) for path in corpus),
            folds=(left_out or fitting.FOLDS) if folds else (),
            network=network,
            without=tuple(without or ()),
            slim=slim,
            processes=threads or len(os.sched_getaffinity(0)),
            say=_say,
            tick=tick,
        )
        made = fitting.fit(data, job)
    gap = made.parity["logit_gap"]["int8"]["mean"]
    _say(f"wrote {out}; the logits with int8 tables differ from PyTorch's by {gap:.3f} on average")


@app.command(name="leave-out")
def leave_out(
    *,
    corpus: options.Corpora,
    out: options.Out,
    without: options.LeftOut,
    epochs: options.Epochs = 3,
    per_epoch: options.PerEpoch = 50_000,
    vocabulary: options.Vocabulary = 16_000,
    synthetic: options.Synthetic = 30_000,
    synthetic_share: options.Share = None,
    modern: options.ModernFolder = None,
    modern_count: options.ModernCount = None,
    modern_share: options.ModernShare = None,
    evaded: options.Evaded = 0.0,
    evaded_share: options.EvadedShare = None,
    style: Annotated[bool, typer.Option(help="Include the style facts and the trace in the input.")] = True,
    seed: options.Seed = 1,
    kept: options.Kept = None,
    threads: options.Threads = 0,
    device: options.Device = "auto",
) -> None:
    """Train without some sources and classify their mail.

    A table of the figures is written to OUT.

    Example: python -m training leave-out --corpus corpus --without lists --out table.md
    """
    from . import fit as fitting
    from . import leave_out as experiment

    experiment.check_out(out)
    chosen = options.TrainingOptions(
        corpus=corpus,
        epochs=epochs,
        per_epoch=per_epoch,
        vocabulary=vocabulary,
        synthetic=synthetic,
        synthetic_share=synthetic_share,
        modern=modern,
        modern_count=modern_count,
        modern_share=modern_share,
        evaded=evaded,
        evaded_share=evaded_share,
        seed=seed,
        kept=kept,
        threads=threads,
    )
    recipe = chosen.recipe()
    data, limits = chosen.read_mail(console, style=style)
    with progress.shown(console, "training", each=per_epoch) as tick:
        job = fitting.Job(
            recipe=recipe,
            limits=limits,
            out=out,
            name="experiment",
            version="0",
            device=options.chosen_device(device),
            corpora=tuple(str(path) for path in corpus),
            say=_say,
            tick=tick,
        )
        table = experiment.leave_out(data, job, without)
    print(table, end="")


@app.command(name="compare-cells")
def compare_cells(
    *,
    corpus: options.Corpora,
    out: options.Out,
    without: options.LeftOut,
    first: options.First = None,
    epochs: options.Epochs = 3,
    per_epoch: options.PerEpoch = 50_000,
    vocabulary: options.Vocabulary = 16_000,
    synthetic: options.Synthetic = 0,
    synthetic_share: options.Share = None,
    modern: options.ModernFolder = None,
    modern_count: options.ModernCount = None,
    modern_share: options.ModernShare = None,
    evaded: options.Evaded = 0.33,
    evaded_share: options.EvadedShare = None,
    weight: options.Weights = None,
    seed: options.Seed = 1,
    kept: options.Kept = None,
    threads: options.Threads = 0,
    device: options.Device = "auto",
) -> None:
    """Compare five kinds of networks on the same mail.

    The networks are a perceptron, an RNN, a GRU, an LSTM and a BiLSTM. Each corrects the same linear model. They
    classify the mail that is left out, disguised copies of this mail, and short messages of it that are padded with
    ham. Table, data and plot are written to OUT.

    Example: python -m training compare-cells --corpus corpus --without trec07p --out cells
    """
    from . import cell_figures, cells, run_folder

    run_folder.check_replaceable(out, holds=cell_figures.DATA)
    chosen = options.TrainingOptions(
        corpus=corpus,
        epochs=epochs,
        per_epoch=per_epoch,
        vocabulary=vocabulary,
        synthetic=synthetic,
        synthetic_share=synthetic_share,
        modern=modern,
        modern_count=modern_count,
        modern_share=modern_share,
        evaded=evaded,
        evaded_share=evaded_share,
        seed=seed,
        kept=kept,
        threads=threads,
    )
    recipe = replace(chosen.recipe(), weights=tuple(map(options.chosen_weight, weight or ())))
    data, limits = chosen.read_mail(console, first=first)
    with progress.shown(console, "training", each=per_epoch) as tick:
        cells.compare(
            data, recipe, limits, without=without, out=out, device=options.chosen_device(device), say=_say, tick=tick
        )
    _say(f"wrote {out}")


@app.command()
def finetune(
    *,
    parent: Annotated[Path, typer.Option("--from", help="Bundle with the network to train further.")],
    mail: Annotated[Path, typer.Option(help="Corpus folder with targets.json (see training/finetune.py).")],
    out: options.Out,
    version: Annotated[str, typer.Option(help="The model's version.")],
    origin: Annotated[str, typer.Option(help="JSON about the labels, for the manifest.")] = "{}",
    rate: Annotated[float, typer.Option(min=0, help="Learning rate of the deep part.")] = 5e-4,
    wide_rate: options.WideRate = 0.3,
    seed: options.Seed = 1,
    threads: options.Threads = 0,
) -> None:
    """Train a bundle's network further on one user's labels.

    `spamlstm retrain` starts this command.
    """
    import torch

    from . import finetune as tuning

    about_labels = options.chosen_origin(origin)
    if threads:
        torch.set_num_threads(threads)
    # oneDNN generates machine code at run time, which systemd/spamlstm-retrain.service forbids. It is as fast without.
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    with progress.shown(console, "retraining") as tick:
        task = tuning.Task(
            parent=parent,
            mail=mail,
            out=out,
            version=version,
            origin=about_labels,
            rate=rate,
            wide_rate=wide_rate,
            seed=seed,
            say=_say,
            tick=tick,
        )
        tuning.finetune(task)


def _say(line: str) -> None:
    progress.say(console, line)


def main() -> None:
    """Run the command line of this process and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status. An error is printed as one sentence."""
    try:
        app(args=list(arguments), prog_name=f"python -m {__package__}", standalone_mode=False)
    except UserError as error:
        return _fail(str(error), error.exit_status)
    except ClickError as error:
        error.show()
        return EX_USAGE
    except (KeyboardInterrupt, typer.Abort):
        # Fine-tuning takes a minute or two and keeps no epochs.
        what = "" if arguments[:1] == ["finetune"] else "; the same command continues after the last finished epoch"
        return _fail(f"interrupted{what}", BY_SIGNAL + 2)
    except ImportError as error:
        return _fail(f"a library cannot be loaded ({error}); install the extra 'train' again", ExitStatus.UNAVAILABLE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", EX_IOERR)
    return 0


def _fail(sentence: str, status: int) -> int:
    print(f"training: {sentence}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
