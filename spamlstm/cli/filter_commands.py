"""Commands that filter mail: classify, scan, run, status, undo, config."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from spamlstm.cli import options
from spamlstm.cli.options import FILTER, command, commands

app = commands()
filtering = partial(command, app, panel=FILTER)
config_app = commands(help="Write, check or show the configuration.", no_args_is_help=True)


@filtering(
    "classify",
    "spamlstm classify message.eml",
    "spamlstm classify --explain ~/Maildir",
    "spamlstm classify --exit-code - < message.eml",
)
def classify_command(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATHS...]", help="Mail files, folders, Maildirs or mboxes; - is standard input."),
    ] = None,
    *,
    json: options.JsonOption = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show which words and facts decided.")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 0 for ham, 1 for spam, 2 for unsure (spam before unsure).")
    ] = False,
    maildir: options.MaildirOption = None,
    model: options.ModelOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> int:
    """Judge messages: ham, unsure or spam. No mail is changed.

    Scores include what was learned from your labels. Messages that cannot be read are reported and all others are
    judged; the exit status is then 66, or 65 for a file that is not mail.
    """
    from spamlstm.cli.classify import classify_paths

    return classify_paths(
        paths or [],
        json=json,
        explain=explain,
        exit_code=exit_code,
        maildir=maildir,
        model=model,
        config_file=config,
        state=state,
    )


@filtering("scan", "spamlstm scan --dry-run ~/Maildir", "spamlstm scan ~/Maildir")
def scan_command(
    maildir: Annotated[Path, typer.Argument(metavar="MAILDIR", help="The Maildir with the inbox to filter.")],
    *,
    dry_run: options.DryRunOption = False,
    json: options.JsonOption = False,
    model: options.ModelOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> int:
    """Filter the new mail of one Maildir once, then exit.

    Messages are tagged and filed as the configuration says. A message that was judged before is left alone. If the
    Maildir was never filtered before, all unread mail is new. Messages that cannot be judged or moved are reported and
    stay where they are; the exit status is then 75.
    """
    from spamlstm.cli.scan import scan_maildir

    return scan_maildir(maildir, dry_run=dry_run, json=json, model=model, config_file=config, state=state)


@filtering("run", "spamlstm run --dry-run ~/Maildir", "spamlstm run")
def run_command(
    maildirs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[MAILDIR...]", help="Maildirs to watch [default: those of the configuration]"),
    ] = None,
    *,
    dry_run: options.DryRunOption = False,
    model: options.ModelOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> None:
    """Watch Maildirs, and filter new mail when it arrives.

    Stays in the foreground and logs to standard error. SIGHUP reads the configuration and the model again. SIGTERM and
    Ctrl-C stop it after the current message.
    """
    from spamlstm.cli.run import run_daemon
    from spamlstm.cli.terminal import set_log_level

    set_log_level()
    run_daemon(maildirs or [], dry_run=dry_run, model=model, config_file=config, state=state)


@filtering("status", "spamlstm status", "spamlstm status --json | jq .mail.judged")
def status_command(*, json: options.JsonOption = False, state: options.StateOption = None) -> None:
    """Show what the running daemon does and has done.

    Without --state the user's daemon is asked, then that of the system in /var/lib/spamlstm. The exit status is 69 if
    no daemon runs.
    """
    from spamlstm.cli.status import show_status

    show_status(json=json, state=state)


@filtering("undo", "spamlstm undo --dry-run --since 2h", "spamlstm undo ~/Maildir/.Junk/cur/1700000000.1.host:2,S")
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
    dry_run: options.DryRunOption = False,
    json: options.JsonOption = False,
    state: options.StateOption = None,
) -> int:
    """Move filed mail back, and remove the headers that were added.

    Messages that you moved or removed since are left alone. A message that was moved back is not judged again. The exit
    status is 75 if a message could not be moved back.
    """
    from spamlstm.cli.undo import undo_messages

    return undo_messages(message, since=since, dry_run=dry_run, json=json, state=state)


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
def config_check_command(config: options.ConfigOption = None) -> int:
    """Report all problems of the configuration, or what it watches.

    Each problem is one line with the key. The exit status is 78 if there are any.
    """
    from spamlstm.cli.config import check_config

    return check_config(config)


@command(config_app, "show", "spamlstm config show")
def config_show_command(config: options.ConfigOption = None) -> None:
    """Print the configuration that applies, with all defaults, as TOML."""
    from spamlstm.cli.config import show_config

    show_config(config)


app.add_typer(config_app, name="config", rich_help_panel=FILTER)
