"""The commands that learn: label, forget, labels, adopt, retrain. A label marks a message as ham or spam."""

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
    label: Annotated[str, typer.Argument(metavar="spam|ham", help="The label of the messages.")],
    paths: options.MailArgument,
    *,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help="Do not ask for confirmation before more than 100 labels change to the opposite label."
        ),
    ] = False,
    model: options.ModelOption = None,
    maildir: options.MaildirOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> int:
    """Label messages as spam or ham, with immediate effect.

    A message is recognised by its content, not by the name of its file. A new label replaces an earlier label. In a
    whole Maildir, the folders Trash, Sent, Drafts and similar are skipped, and for ham also junk folders. To label the
    mail of such a folder, name the folder itself.

    Files that cannot be read or are not mail are reported, and the other files are still labelled. If a file cannot be
    read, the exit status is 66. Otherwise, if a file is not mail, the exit status is 65.
    """
    from spamlstm.cli.label import label_paths

    folder = _label_folder(state, maildir, config)
    return label_paths(label, paths, yes=yes, model=model, config_file=config, state=folder)


@learning("forget", "spamlstm forget missed.eml", "spamlstm forget 8f1d6b0c7c2e4a93b5a0d4e1f7c3962a")
def forget_command(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS...",
            help="Mail files, folders, Maildirs or mboxes, - for standard input, or ids of messages.",
        ),
    ],
    *,
    maildir: options.MaildirOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> int:
    """Remove the labels of messages.

    Later scores are the same as if the messages had never been labelled. The id of a message is in the output of
    'spamlstm labels --json' and, for a label that was learned from a move, in the log line 'learned'.
    """
    from spamlstm.cli.label import forget_paths

    return forget_paths(paths, state=_label_folder(state, maildir, config))


@labels_app.callback(epilog=examples("spamlstm labels", "spamlstm labels --json", "spamlstm labels export labels.gz"))
def labels_command(
    context: typer.Context,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print all labels as JSON, one object per line.")] = False,
    maildir: options.MaildirOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> None:
    """List, remove, export or import labels.

    Prints the number of labels and the last 20 labels, the newest first. The columns are time, label, score before
    labels are taken into account, message id and subject. The message id is computed from the content of the message.
    A terminal shows its beginning, and --json the whole id.
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
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask for confirmation. Required if standard input is not a terminal.")
    ] = False,
    maildir: options.MaildirOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> None:
    """Remove all labels and the stored copies of the labelled mail."""
    from spamlstm.cli.label import purge_labels

    purge_labels(state=_label_folder(state, maildir, config), yes=yes)


@command(labels_app, "export", "spamlstm labels export labels.gz")
def labels_export_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write. An earlier export is replaced.")],
    *,
    maildir: options.MaildirOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> None:
    """Write all labels and the stored copies of their mail to a file.

    The file contains everything that was learned, and only you can read it. The daemon can keep running.
    """
    from spamlstm.cli.label_files import write_labels

    write_labels(file, state=_label_folder(state, maildir, config))


@command(labels_app, "import", "spamlstm labels import --dry-run labels.gz", "spamlstm labels import labels.gz")
def labels_import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that 'spamlstm labels export' wrote.")],
    *,
    dry_run: options.DryRunOption = False,
    maildir: options.MaildirOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> None:
    """Add the labels of an exported file to the present labels.

    If the file and the present labels differ for a message, your own label is preferred to an adopted label, then the
    later label to the earlier. Importing a file again changes nothing. A file that is damaged or was written by a newer
    version of spamlstm is refused.
    """
    from spamlstm.cli.label_files import read_labels

    read_labels(file, dry_run=dry_run, state=_label_folder(state, maildir, config))


app.add_typer(labels_app, name="labels", rich_help_panel=LEARN)


@learning(
    "adopt",
    "spamlstm adopt --dry-run ~/Maildir",
    "spamlstm adopt ~/Maildir",
    "spamlstm adopt --undo ~/Maildir",
    "spamlstm adopt imap.example.org",
)
def adopt_command(
    mailbox: Annotated[
        str,
        typer.Argument(
            metavar="MAILBOX",
            help="A Maildir that has been in use for some time, or the name of an [[imap]] account (its host, unless "
            "it has a name).",
        ),
    ],
    *,
    dry_run: options.DryRunOption = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Remove the labels that were adopted from MAILBOX, which may be gone.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    model: options.ModelOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> int:
    """Learn from the mail of an existing mailbox.

    Mail that you answered, flagged, filed in a folder or kept for a month after reading is labelled as ham. Mail in the
    junk folder is labelled as spam, unless spamlstm filed it there. Labels that you set with 'spamlstm label' or by
    moving mail take precedence.

    Mail unlike the mail of the mailbox almost always keeps its verdict. If there is enough ham to show which share is
    filed as spam, the scores are adjusted to max_false_positive_rate in the [learning] section of the configuration. No
    mail is changed. To continue an interrupted adoption, run the same command again.

    On an IMAP account, messages up to 1 MiB are read, at most 512 MiB in one hour, the newest first. They stay unread.
    """
    if undo:
        from spamlstm.cli.undo_adoption import undo_adoption

        return undo_adoption(mailbox, dry_run=dry_run, json=json, model=model, config_file=config, state=state)
    from spamlstm.cli.adopt import adopt_mailbox

    return adopt_mailbox(mailbox, dry_run=dry_run, json=json, model=model, config_file=config, state=state)


@learning("retrain", "spamlstm retrain", "spamlstm retrain --now --mail ~/Maildir")
def retrain_command(
    *,
    now: Annotated[bool, typer.Option("--now", help="Train even if there are no new labels.")] = False,
    mail: Annotated[
        list[Path] | None,
        typer.Option(
            "--mail",
            metavar="MAILDIR",
            help="A Maildir with unlabelled mail. Can be repeated [default: the Maildirs in the configuration]",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
    maildir: options.MaildirOption = None,
    for_all: Annotated[
        bool,
        typer.Option(
            "--for-all",
            help="With --maildir: allow the labels of this Maildir to change the model of the other Maildirs.",
        ),
    ] = False,
    model: options.ModelOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> int:
    """Train a model on your labels and use it if it is better.

    Training takes one or two minutes at low priority and requires PyTorch. The new model is used only if a test shows
    that it classifies mail better than the model in use. For the test, some of your labels are held out: a trial model
    learns the others and is compared with the model in use. 'spamlstm model rollback' returns to the previous model.

    If a step after the change of the model fails, such as removing old models, the exit status is 75.
    """
    from spamlstm.cli.retrain import retrain_model

    return retrain_model(
        now=now,
        mail=mail or [],
        json=json,
        maildir=maildir,
        for_all=for_all,
        model=model,
        config_file=config,
        state=state,
    )


def _label_folder(state: Path | None, maildir: Path | None, config: Path | None) -> Path:
    from spamlstm.cli.selection import label_folder

    return label_folder(state, maildir, named=config)
