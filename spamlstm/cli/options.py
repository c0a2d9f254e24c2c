"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

ModelOption = Annotated[
    Path | None,
    typer.Option("--model", metavar="DIR", help="Model directory [default: the model in use; see 'model list']"),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration file [default: ~/.config/spamlstm/config.toml, else /etc/spamlstm/config.toml]",
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="State directory [default: ~/.local/state/spamlstm]"),
]
MaildirOption = Annotated[
    Path | None,
    typer.Option("--maildir", metavar="DIR", help='Use the labels of this Maildir, if labels = "per-maildir".'),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only report what would be done.")]
MailArgument = Annotated[
    list[str], typer.Argument(metavar="PATHS...", help="Mail files, folders, Maildirs or mboxes; - is standard input.")
]
