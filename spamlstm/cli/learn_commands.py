"""Commands that learn: label, forget, labels, adopt, retrain."""

from pathlib import Path
from typing import Annotated

import typer

from spamlstm.cli.help import LEARN, command, commands, examples
from spamlstm.cli.options import (
    ConfigOption,
    DryRunOption,
    MailArgument,
    MaildirOption,
    ModelOption,
    StateOption,
)

app = commands()
labels_app = commands(invoke_without_command=True)


@command(app, "label", "spamlstm label spam missed.eml", "spamlstm label ham ~/Maildir/.Archive", panel=LEARN)
def label_command(
    label: Annotated[str, typer.Argument(metavar="spam|ham", help="What the messages are.")],
    paths: MailArgument,
    *,
    model: ModelOption = None,
    maildir: MaildirOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Mark messages as spam or ham; takes effect at once.

    A message is recognised by its content, not by the name of its file. A new label replaces an earlier one. Files that
    cannot be read or are not mail are reported, all others are labelled, and the exit status is 66 or 65.
    """
    from spamlstm.cli.label import label_paths
    from spamlstm.cli.selection import label_folder

    raise typer.Exit(label_paths(label, paths, model=model, state=label_folder(state, maildir, named=config)))


@command(app, "forget", "spamlstm forget missed.eml", panel=LEARN)
def forget_command(
    paths: MailArgument,
    *,
    maildir: MaildirOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Remove the labels of messages.

    Scores become what they would be if the messages had never been labelled.
    """
    from spamlstm.cli.label import forget_paths
    from spamlstm.cli.selection import label_folder

    raise typer.Exit(forget_paths(paths, state=label_folder(state, maildir, named=config)))


@labels_app.callback(epilog=examples("spamlstm labels", "spamlstm labels --json", "spamlstm labels purge --yes"))
def labels_command(
    context: typer.Context,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print all labels, one JSON object per line.")] = False,
    maildir: MaildirOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """List the labels, or remove all.

    Prints the number of labels and the last 20: time, label, score of the model without labels, id, subject.
    """
    from spamlstm.errors import UserError

    if context.invoked_subcommand is not None:
        if json or maildir or config or state:
            raise UserError(f"write options after the command: spamlstm labels {context.invoked_subcommand} …")
        return
    from spamlstm.cli.label import show_labels
    from spamlstm.cli.selection import label_folder

    show_labels(json=json, state=label_folder(state, maildir, named=config))


@command(labels_app, "purge", "spamlstm labels purge", "spamlstm labels purge --yes")
def labels_purge_command(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. Needed if standard input is no terminal.")] = False,
    maildir: MaildirOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Remove all labels, and the mail that was kept for them."""
    from spamlstm.cli.label import purge_labels
    from spamlstm.cli.selection import label_folder

    purge_labels(state=label_folder(state, maildir, named=config), yes=yes)


app.add_typer(labels_app, name="labels", rich_help_panel=LEARN)


@command(
    app,
    "adopt",
    "spamlstm adopt --dry-run ~/Maildir",
    "spamlstm adopt ~/Maildir",
    "spamlstm adopt --undo ~/Maildir",
    panel=LEARN,
)
def adopt_command(
    maildir: Annotated[Path, typer.Argument(metavar="MAILDIR", help="A Maildir that has been in use for some time.")],
    *,
    dry_run: DryRunOption = False,
    undo: Annotated[bool, typer.Option("--undo", help="Remove the labels that were adopted from it.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    model: ModelOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Learn from the mail of an existing mailbox.

    Mail that you answered, flagged, filed in a folder or kept for a month after reading is ham. Mail in the junk folder
    is spam, unless this filter put it there. The thresholds are set so that no more ham is filed as spam than
    max_false_positive_rate in [learning] allows. No mail is changed, and your own labels take precedence. If it is
    interrupted, the same command continues.
    """
    from spamlstm.cli.adopt import AdoptOptions, adopt_maildir, undo_adoption

    options = AdoptOptions(maildir=maildir, dry_run=dry_run, json=json, model=model, config=config, state=state)
    raise typer.Exit((undo_adoption if undo else adopt_maildir)(options))


@command(app, "retrain", "spamlstm retrain", "spamlstm retrain --now --mail ~/Maildir", panel=LEARN)
def retrain_command(
    *,
    now: Annotated[bool, typer.Option("--now", help="Retrain even if there are no new labels.")] = False,
    mail: Annotated[
        list[Path] | None,
        typer.Option(
            "--mail", metavar="MAILDIR", help="Maildirs with unlabelled mail [default: those of the configuration]"
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
    maildir: MaildirOption = None,
    model: ModelOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Train the model on your labels; keep the result if it is better.

    Takes a minute or two at low priority, and needs PyTorch. The new model is used only if it judges held-out mail
    better than the model in use. 'spamlstm model rollback' returns to that.
    """
    from spamlstm.cli.retrain import RetrainOptions, retrain_model
    from spamlstm.cli.selection import label_folder

    folder = label_folder(state, maildir, named=config)
    retrain_model(RetrainOptions(now=now, mail=mail or [], json=json, model=model, config=config, state=folder))
