"""Damaged journals, mailbox states and label stores: whatever their cells contain, no mail is lost."""

import contextlib
import os
import random
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from fuzzing.scene import Scene
from tracked_maildir import TrackedMaildir

from spamlstm.config import Action
from spamlstm.errors import UserError
from spamlstm.filtering.acts import Recovery
from spamlstm.filtering.undo import undo_acts
from spamlstm.learning.label_store import LabelStore

STORES = ("journal.sqlite", "mailbox_state.sqlite", "labels.sqlite")
PAGE = 4096
# SQL expressions, so that text that is not UTF-8 can be among them.
_VALUES = (
    *("NULL", "''", "'x'", "'done'", "'open'", "'file tag'", "'spam'", "CAST(x'ff' AS TEXT)", "x''", "x'01'", "x'00'"),
    *("zeroblob(100000)", "0", "1", "2", "-1", "9223372036854775807", "-9223372036854775808", "0.5", "9e999", "-9e999"),
    *("'/etc/passwd'", "CAST('../../outside/victim' AS BLOB)", "printf('%.*c', 100000, 'x')"),
)
Damage = Callable[[Path, random.Random], None]


def case(scene: Scene) -> None:
    """Handle some mail, damage the databases, and handle the mail of the next days."""
    chance = scene.chance
    actions = chance.choice([(Action.TAG, Action.FILE), (Action.FILE,), (Action.TAG,)])
    tracked = TrackedMaildir(scene.root, scene.state, {"spam": actions}).watch()
    live(scene, tracked)
    if scene.interrupted(tracked.run):
        tracked.again()
    close(tracked)
    for _ in range(chance.randrange(1, 3)):
        name = chance.choice((STORES[0], *STORES))
        if (scene.state / name).is_file():
            damage(scene.state / name, chance)
    reopen(scene, tracked)
    live(scene, tracked)
    take_back(scene, tracked)
    tracked.clock.now += 200_000
    live(scene, tracked)
    ask(scene)
    scene.check()
    scene.check_log(damaged=True)
    close(tracked)


# --- work -----------------------------------------------------------------------------------------------------------


def live(scene: Scene, tracked: TrackedMaildir) -> None:
    """Deliver and judge mail, move some, and learn from the moves. Nothing raises."""
    for _ in range(scene.chance.randrange(1, 4)):
        path = tracked.deliver(scene.chance.choice(("spam", "spam", "words")))
        scene.sent(path)
        raw = Path(path).read_bytes()
        with scene.step("pass"):
            tracked.run()
        with scene.step("moves"):
            tracked.look()
        if scene.chance.random() < 0.5 and len(tracked.where(raw)) == 1:
            target = scene.chance.choice([tracked.root, tracked.junk])
            if Path(target).exists():
                tracked.move(raw, target, how=scene.chance.choice(("rename", "link", "copy")))
        with scene.step("moves"):
            tracked.look()
    with scene.step("layer"):
        tracked.label_stores.layer(tracked.root)
        tracked.label_stores.tally()


def reopen(scene: Scene, tracked: TrackedMaildir) -> None:
    """Restart; if a database is refused with a UserError, the user moves it away."""
    for _ in range(len(STORES) + 1):
        try:
            with scene.step("start"):
                tracked.open()
        except (UserError, OSError):
            # The message names the database, but is not parsed here.
            _move_away(scene, tracked)
        else:
            return


def _move_away(scene: Scene, tracked: TrackedMaildir) -> None:
    with contextlib.suppress(AttributeError):  # not opened
        tracked.journal.close()
    for name in STORES[:2]:
        for suffix in ("", "-wal", "-shm"):
            path = scene.state / f"{name}{suffix}"
            if path.is_dir():
                path.rmdir()
            path.unlink(missing_ok=True)


def take_back(scene: Scene, tracked: TrackedMaildir) -> None:
    """Undo; a damaged journal may be a reported error."""
    recovery = Recovery(tracked.journal, counters=tracked.counters, clock=tracked.clock)
    with scene.step("undo"), contextlib.suppress(UserError, OSError, sqlite3.Error):
        list(undo_acts(tracked.journal, recovery, since=0, dry=scene.chance.random() < 0.3, clock=tracked.clock))


def ask(scene: Scene) -> None:
    """Read the labels as the commands do; a damaged store may be a reported error."""
    with scene.step("labels"), contextlib.suppress(UserError, OSError, sqlite3.Error):
        labels = LabelStore.find(scene.state)
        if labels is not None:
            with contextlib.closing(labels):
                list(labels.last())
                labels.counts()
                labels.labelled_by_user()
                labels.prune()
                labels.interleave_bulk()


def close(tracked: TrackedMaildir) -> None:
    """Close all databases."""
    tracked.label_stores.close()
    tracked.mailbox_state.close()
    tracked.journal.close()


# --- damage ---------------------------------------------------------------------------------------------------------


def damage(path: Path, chance: random.Random) -> None:
    """Damage a file in one way; a file that is damaged already may refuse it."""
    with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):
        chance.choice(DAMAGES)(path, chance)


def cell(path: Path, chance: random.Random) -> None:
    """Change a few cells, also to values of other rows, ignoring constraints."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        _allow_all(database)
    with contextlib.closing(sqlite3.connect(path)) as database:
        columns = _columns(database)
        for _ in range(chance.choice((1, 1, 2, 5))):
            table, column = chance.choice(columns)
            value = chance.choice(_VALUES)
            if chance.random() < 0.3:
                value = f"(SELECT {column} FROM {table} LIMIT 1 OFFSET {chance.randrange(4)})"  # noqa: S608  ours
            rows = "" if chance.random() < 0.3 else _one_row(table, column, chance)
            # A unique index or a row id may refuse the value.
            with contextlib.suppress(sqlite3.Error):
                database.execute(f"UPDATE OR IGNORE {table} SET {column} = {value}{rows}")  # noqa: S608  ours
        database.commit()


def _allow_all(database: sqlite3.Connection) -> None:
    """Remove NOT NULL constraints, which do not apply to damage on disk."""
    database.execute("PRAGMA writable_schema = ON")
    database.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE type = 'table'")
    database.commit()


def _columns(database: sqlite3.Connection) -> Sequence[tuple[str, str]]:
    """Return (table, column) pairs; raise sqlite3.DatabaseError if there are none."""
    found = database.execute(
        "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'"
        " AND m.name NOT LIKE 'sqlite_%' ORDER BY 1, 2"
    ).fetchall()
    if not found:
        raise sqlite3.DatabaseError("there is no table")
    return found


def _one_row(table: str, column: str, chance: random.Random) -> str:
    return f" WHERE {column} IS (SELECT {column} FROM {table} LIMIT 1 OFFSET {chance.randrange(4)})"  # noqa: S608  ours


def structure(path: Path, chance: random.Random) -> None:
    """Drop a table, change a version, rename a column or empty a table."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        table, column = chance.choice(_columns(database))
        statement = chance.choice(
            (
                f"DROP TABLE {table}",
                f"PRAGMA user_version = {chance.choice((0, 1, 2, 3, 4, 99, -1))}",
                f"ALTER TABLE {table} RENAME COLUMN {column} TO other",
                f"DELETE FROM {table}",  # noqa: S608  ours
                "PRAGMA application_id = 7",
            )
        )
        with contextlib.suppress(sqlite3.Error):
            database.execute(statement)
        database.commit()


def truncated(path: Path, chance: random.Random) -> None:
    """Truncate the file."""
    os.truncate(path, chance.choice((0, 1, 100, PAGE, chance.randrange(path.stat().st_size + 1))))


def pages(path: Path, chance: random.Random) -> None:
    """Swap two pages, duplicate one, or empty one."""
    data = bytearray(path.read_bytes())
    count = len(data) // PAGE
    if count < 2:
        return
    one, other = (slice(PAGE * at, PAGE * (at + 1)) for at in (chance.randrange(count), chance.randrange(count)))
    match chance.choice(("swapped", "twice", "empty")):
        case "swapped":
            data[one], data[other] = data[other], data[one]
        case "twice":
            data[one] = data[other]
        case "empty":
            data[one] = bytes(PAGE)
    path.write_bytes(data)


def bits(path: Path, chance: random.Random) -> None:
    """Change a few bytes."""
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 3, 30))):
        if data:
            data[chance.randrange(len(data))] = chance.randrange(256)
    path.write_bytes(data)


def sidecar(path: Path, chance: random.Random) -> None:
    """Write garbage into a file that SQLite keeps beside the database."""
    Path(f"{path}{chance.choice(('-wal', '-shm', '-journal'))}").write_bytes(
        chance.randbytes(chance.choice((0, 32, 5000)))
    )


def replaced(path: Path, chance: random.Random) -> None:
    """Replace the file by something else."""
    path.unlink()
    match chance.choice(("folder", "fifo", "text", "link")):
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "text":
            path.write_bytes(chance.randbytes(9000))
        case "link":
            path.symlink_to("nowhere")


DAMAGES: tuple[Damage, ...] = (cell, cell, cell, cell, structure, truncated, pages, pages, bits, sidecar, replaced)
