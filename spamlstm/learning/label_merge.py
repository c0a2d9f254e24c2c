"""The import of exported labels: a merge of checked labels into a label store, in one transaction."""

import sqlite3
from dataclasses import dataclass

from spamlstm.learning.label import Origin
from spamlstm.learning.label_export import exported_tables, table_rows
from spamlstm.learning.label_store import LabelStore


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """The numbers of labels of an import: new ones, ones that replaced another label, and ones without effect."""

    new: int = 0
    changed: int = 0
    known: int = 0


def merge_labels(labels: LabelStore, staging: sqlite3.Connection) -> ImportCounts:
    """Merge staged labels into a store, in one transaction, and return their numbers.

    If both have a label for a message, a label of the user is preferred to an adopted label, then the later label, then
    that of the store. If both have the same label, its later time counts, so that the result does not depend on the
    order of several imports. The imported labels come before the labels of the store in the order of learning. Other
    tables are completed; rows of the store stay, with the later time. Merging the labels again changes nothing.
    """
    with labels.rewriting() as connection:
        return _merge(staging, connection)


def _merge(staging: sqlite3.Connection, connection: sqlite3.Connection) -> ImportCounts:
    tables = exported_tables(connection)
    ids, counts = _chosen(staging, connection)
    if ids:
        _insert(staging, connection, ids, columns=tables["labels"])
    for table, columns in tables.items():
        if table != "labels":
            _complete(staging, connection, table, columns)
    return counts


def _complete(
    staging: sqlite3.Connection, connection: sqlite3.Connection, table: str, columns: tuple[str, ...]
) -> None:
    """Insert the rows of a table whose keys the store does not have. Rows of both get the later time."""
    insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
    later = "UPDATE SET time = excluded.time WHERE excluded.time > time"
    conflict = f" ON CONFLICT DO {later if 'time' in columns else 'NOTHING'}"
    connection.executemany(insert + conflict, table_rows(staging, table, columns))


def _chosen(staging: sqlite3.Connection, connection: sqlite3.Connection) -> tuple[list[int], ImportCounts]:
    """Return the ids of the labels in the file that are imported, in order, and the numbers of labels.

    Labels of the store that are replaced are removed. Labels that both have get the later time.
    """
    query = "SELECT content, origin != ?, time, label, id FROM labels ORDER BY id"
    stored = {content: row for content, *row in connection.execute(query, (Origin.ADOPTED,))}
    ids: dict[bytes, int] = {}
    later: list[tuple[float, bytes]] = []
    new = changed = known = 0
    for content, by_user, time, label, number in staging.execute(query, (Origin.ADOPTED,)):
        if content in stored:
            ours_by_user, our_time, our_label, _ = stored[content]
            is_later = (by_user, time) > (ours_by_user, our_time)
            is_same = (label, by_user) == (our_label, ours_by_user)
            if is_same and is_later:
                later.append((time, content))
            if is_same or not is_later:
                known += 1
                continue
            changed, known = changed + (label != our_label), known + (label == our_label)
        else:
            new += 1
        ids[content] = number
    connection.executemany("UPDATE labels SET time = ? WHERE content = ?", later)
    connection.executemany("DELETE FROM labels WHERE content = ?", ((one,) for one in ids if one in stored))
    return list(ids.values()), ImportCounts(new, changed, known)


def _insert(
    staging: sqlite3.Connection, connection: sqlite3.Connection, ids: list[int], *, columns: tuple[str, ...]
) -> None:
    """Insert the labels with these ids of the file before the labels of the store."""
    # No id is used twice, so that no process takes a row for one that it has learned.
    (last,) = connection.execute(
        "SELECT max(coalesce((SELECT max(id) FROM labels), 0),"
        " coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'labels'), 0))"
    ).fetchone()
    (first,) = connection.execute("SELECT coalesce(min(id), 0) FROM labels").fetchone()
    connection.execute("UPDATE labels SET id = id + ?", (last + len(ids) + 1 - first,))
    others = [column for column in columns if column != "id"]
    insert = f"INSERT INTO labels (id, {', '.join(others)}) VALUES (?{', ?' * len(others)})"  # noqa: S608
    select = f"SELECT {', '.join(others)} FROM labels WHERE id = ?"  # noqa: S608
    for number, one in enumerate(ids, start=last + 1):
        connection.execute(insert, (number, *staging.execute(select, (one,)).fetchone()))
