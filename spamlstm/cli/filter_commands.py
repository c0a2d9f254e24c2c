"""Commands that filter mail: classify, scan, run, status, undo, config."""

from pathlib import Path
from typing import Annotated

import typer

from spamlstm.cli.help import FILTER, command, commands
from spamlstm.cli.options import ConfigOption, DryRunOption, JsonOption, MaildirOption, ModelOption, StateOption

app = commands()
config_app = commands(help="Write, check or show the configuration.", no_args_is_help=True)


@command(
    app,
    "classify",
    "spamlstm classify message.eml",
    "spamlstm classify --explain ~/Maildir",
    "spamlstm classify --exit-code - < message.eml",
    panel=FILTER,
)
def classify_command(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATHS...]", help="Mail files, folders, Maildirs or mboxes; - is standard input."),
    ] = None,
    *,
    json: JsonOption = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show which words and facts decided.")] = False,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="Exit with 0 for ham, 1 for spam, 2 for unsure (spam before unsure)."),
    ] = False,
    maildir: MaildirOption = None,
    model: ModelOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Judge messages: ham, unsure or spam. No mail is changed.

    What spamlstm learned from your labels counts. Messages that cannot be read are reported and all others are judged;
    the exit status is then 66, or 65 for a file that is not mail.
    """
    from spamlstm.cli.classify import ClassifyOptions, classify_paths
    from spamlstm.config.locations import state_dir

    labels = state or state_dir()
    if maildir is not None:
        from spamlstm.cli.selection import label_folder  # it loads the Maildir code, which is not needed otherwise

        labels = label_folder(state, maildir, named=config)
    options = ClassifyOptions(
        paths or [], json=json, explain=explain, exit_code=exit_code, model=model, config=config, labels=labels
    )
    raise typer.Exit(classify_paths(options))


@command(app, "scan", "spamlstm scan --dry-run ~/Maildir", "spamlstm scan ~/Maildir", panel=FILTER)
def scan_command(
    maildir: Annotated[Path, typer.Argument(metavar="MAILDIR", help="The Maildir with the inbox to filter.")],
    *,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    model: ModelOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Filter the new mail of one Maildir once, then exit.

    Messages are tagged and filed as the configuration says. A message that was judged before is left alone. If the
    Maildir was never filtered before, all unread mail is new. Messages that cannot be judged or moved are reported and
    stay where they are; the exit status is then 75.
    """
    from spamlstm.cli.scan import ScanOptions, scan_maildir

    options = ScanOptions(maildir=maildir, dry_run=dry_run, json=json, model=model, config=config, state=state)
    raise typer.Exit(scan_maildir(options))


@command(app, "run", "spamlstm run --dry-run ~/Maildir", "spamlstm run", panel=FILTER)
def run_command(
    maildirs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[MAILDIR...]", help="Maildirs to watch [default: those of the configuration]"),
    ] = None,
    *,
    dry_run: DryRunOption = False,
    model: ModelOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Watch Maildirs, and filter new mail when it arrives.

    Stays in the foreground and logs to standard error. SIGHUP reads the configuration and the model again. SIGTERM and
    Ctrl-C stop it after the current message.
    """
    from spamlstm.cli.run import RunOptions, run_daemon
    from spamlstm.cli.terminal import set_log_level

    set_log_level()
    run_daemon(RunOptions(maildirs=maildirs or [], dry_run=dry_run, model=model, config=config), state=state)


@command(app, "status", "spamlstm status", "spamlstm status --json | jq .mail.judged", panel=FILTER)
def status_command(*, json: JsonOption = False, state: StateOption = None) -> None:
    """Show what the running daemon does and has done.

    Without --state the user's daemon is asked, then that of the system in /var/lib/spamlstm. The exit status is 69 if
    no daemon runs.
    """
    from spamlstm.cli.status import show_status

    show_status(json=json, state=state)


@command(
    app,
    "undo",
    "spamlstm undo --dry-run --since 2h",
    "spamlstm undo ~/Maildir/.Junk/cur/1700000000.1.host:2,S",
    panel=FILTER,
)
def undo_command(
    message: Annotated[
        str | None,
        typer.Argument(metavar="[MESSAGE]", help="Undo only this message: its file, or its id (undo --json shows it)."),
    ] = None,
    *,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="WHEN",
            help="30m, 2h, 1d, 1w, or a time such as 2026-11-20T18:30 [default: 1d; for one MESSAGE: ever]",
        ),
    ] = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Move filed mail back, and remove the headers that were added.

    Messages that you moved or removed since are left alone. A message that was moved back is not judged again. The exit
    status is 75 if a message could not be moved back.
    """
    from spamlstm.cli.undo import undo_messages

    raise typer.Exit(undo_messages(message, since=since, dry_run=dry_run, json=json, state=state))


@command(config_app, "init", "spamlstm config init", "spamlstm config init --path ./config.toml")
def config_init_command(
    path: Annotated[
        Path | None,
        typer.Option("--path", metavar="FILE", help="The file to write [default: ~/.config/spamlstm/config.toml]"),
    ] = None,
) -> None:
    """Write a commented configuration file with the defaults.

    An existing file is not changed.
    """
    from spamlstm.cli.config import init_config

    init_config(path)


@command(config_app, "check", "spamlstm config check", "spamlstm config check --config ./config.toml")
def config_check_command(config: ConfigOption = None) -> None:
    """Report all problems of the configuration, or what it watches.

    Each problem is one line with the key. The exit status is 78 if there are any.
    """
    from spamlstm.cli.config import check_config

    raise typer.Exit(check_config(config))


@command(config_app, "show", "spamlstm config show")
def config_show_command(config: ConfigOption = None) -> None:
    """Print the configuration that applies, with all defaults, as TOML."""
    from spamlstm.cli.config import show_config

    show_config(config)


app.add_typer(config_app, name="config", rich_help_panel=FILTER)
