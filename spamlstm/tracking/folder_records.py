"""The match of the folders of a Maildir with the records of its folders at the last visit."""

from collections.abc import Callable, Sequence

from spamlstm.maildir.folder_walk import Folder
from spamlstm.tracking.state import KnownFolder


def matching_records(
    found: Sequence[Folder], before: Sequence[KnownFolder], *, shared: Callable[[Folder, KnownFolder], int]
) -> dict[str, KnownFolder]:
    """Return the record of each found folder that has one, by the present name of the folder.

    A folder has the record with its name, or with the inode of its `cur` if it was renamed. Another folder may have
    taken its former name: the user renames Junk, and creates a new Junk. But if a whole Maildir was copied to another
    disk, its folders may have the inodes that other folders had. Then `shared`, which returns the number of recorded
    files of a record that are in a folder, tells which record belongs to the folder.
    """
    by_name = {known.folder.name: known for known in before}
    by_inode = {known.folder.inode: known for known in before}
    present = {folder.name for folder in found}
    records = {}
    for folder in found:
        named, former = by_name.get(folder.name), by_inode.get(folder.inode)
        if former is None or (named is not None and named.folder.inode == folder.inode):
            continue
        # A record whose name no folder has needs no further evidence.
        is_free = named is None and former.folder.name not in present
        if is_free or shared(folder, former) > (shared(folder, named) if named else 0):
            records[folder.name] = former
    taken = {known.id for known in records.values()}
    for folder in found:
        named = by_name.get(folder.name)
        if named is not None and folder.name not in records and named.id not in taken:
            records[folder.name] = named
    return records
