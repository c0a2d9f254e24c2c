"""Commands that learn: label, forget, labels, adopt, retrain."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from spamlstm.cli import options
from spamlstm.cli.options import LEARN, command, commands, examples

app = commands()
learning = partial(command, app, panel=LEARN)
labels_app = commands(invoke_without_command=True)


@learning("label", "spamlstm label spam missed.eml", "spamlstm label ham ~/Maildir/.Archive")
def label_command(
    label: Annotated[str, typer.Argument(metavar="spam|ham", help="What the messages are.")],
    paths: options.MailArgument,
    *,
    model: options.ModelOption = None,
    maildir: options.MaildirOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> int:
    """Mark messages as spam or ham; takes effect at once.

    A message is recognised by its content, not by the name of its file. A new label replaces an earlier one. Files that
    cannot be read or are not mail are reported, all others are labelled, and the exit status is 66 or 65.
    """
    from spamlstm.cli.label import label_paths

    return label_paths(label, paths, model=model, state=_label_folder(state, maildir, config))


@learning("forget", "spamlstm forget missed.eml")
def forget_command(
    paths: options.MailArgument,
    *,
    maildir: options.MaildirOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> int:
    """Remove the labels of messages.

    Scores become what they would be if the messages had never been labelled.
    """
    from spamlstm.cli.label import forget_paths

    return forget_paths(paths, state=_label_folder(state, maildir, config))


@labels_app.callback(epilog=examples("spamlstm labels", "spamlstm labels --json", "spamlstm labels purge --yes"))
def labels_command(
    context: typer.Context,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print all labels, one JSON object per line.")] = False,
    maildir: options.MaildirOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
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

    show_labels(json=json, state=_label_folder(state, maildir, config))


@command(labels_app, "purge", "spamlstm labels purge", "spamlstm labels purge --yes")
def labels_purge_command(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. Needed if standard input is no terminal.")] = False,
    maildir: options.MaildirOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> None:
    """Remove all labels, and the mail that was kept for them."""
    from spamlstm.cli.label import purge_labels

    purge_labels(state=_label_folder(state, maildir, config), yes=yes)


app.add_typer(labels_app, name="labels", rich_help_panel=LEARN)


@learning("adopt", "spamlstm adopt --dry-run ~/Maildir", "spamlstm adopt ~/Maildir", "spamlstm adopt --undo ~/Maildir")
def adopt_command(
    maildir: Annotated[Path, typer.Argument(metavar="MAILDIR", help="A Maildir that has been in use for some time.")],
    *,
    dry_run: options.DryRunOption = False,
    undo: Annotated[bool, typer.Option("--undo", help="Remove the labels that were adopted from it.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    model: options.ModelOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> int:
    """Learn from the mail of an existing mailbox.

    Mail that you answered, flagged, filed in a folder or kept for a month after reading is ham. Mail in the junk folder
    is spam, unless this filter put it there. The thresholds are set so that no more ham is filed as spam than
    max_false_positive_rate in [learning] allows. No mail is changed, and your own labels take precedence. If it is
    interrupted, the same command continues.
    """
    from spamlstm.cli.adopt import adopt_maildir, undo_adoption

    learn_or_undo = undo_adoption if undo else adopt_maildir
    return learn_or_undo(maildir, dry_run=dry_run, json=json, model=model, config_file=config, state=state)


@learning("retrain", "spamlstm retrain", "spamlstm retrain --now --mail ~/Maildir")
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
    maildir: options.MaildirOption = None,
    model: options.ModelOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> None:
    """Train the model on your labels; keep the result if it is better.

    Takes a minute or two at low priority, and needs PyTorch. The new model is used only if it judges held-out mail
    better than the model in use. 'spamlstm model rollback' returns to that.
    """
    from spamlstm.cli.model import retrain_model

    retrain_model(now=now, mail=mail or [], json=json, maildir=maildir, model=model, config_file=config, state=state)


def _label_folder(state: Path | None, maildir: Path | None, config: Path | None) -> Path:
    from spamlstm.cli.selection import label_folder

    return label_folder(state, maildir, named=config)
