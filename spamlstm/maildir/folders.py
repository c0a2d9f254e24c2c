"""The folders of one Maildir, and what it tells of a message that it lies in one of them."""

import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from spamlstm.database import MOST_INTEGER
from spamlstm.maildir.imap_names import decoded
from spamlstm.maildir.names import PARTS
from spamlstm.maildir.opened import OpenFolder, OpenMaildir

# What nobody has by hand: a name is given by whoever owns the Maildir, and a loop of mounts has no end.
MOST_FOLDERS = 2000
MOST_LEVELS = 8
# Names that are looked at in one directory for folders among them, and in all directories of a Maildir: 20 and 50 ms.
MOST_ENTRIES = 20_000
MOST_ENTRIES_IN_ALL = 50_000


class FolderRole(StrEnum):
    """What a folder is for."""

    INBOX = "inbox"
    JUNK = "junk"
    FILED = "filed"
    """A folder in which somebody keeps mail."""

    SILENT = "silent"
    """Trash, Sent, Drafts and their like: that a message lies there says nothing."""


# In the languages in which mail programs name them. A Trash that goes by a name that is not here would make ham of what
# is deleted; the configuration can name it.
_JUNK = """junk, spam, junk e-mail, junk email, junk mail, bulk mail, bulk, junk-e-mail, spamverdacht, unerwünscht,
werbung, courrier indésirable, indésirables, pourriel, correo no deseado, posta indesiderata, ongewenste e-mail,
ongewenst, lixo eletrônico, lixo electrónico, nevyžádaná pošta, nevyžiadaná pošta, wiadomości-śmieci, niechciane,
skräppost, uønsket, uønsket e-post, roskaposti, levélszemét, спам, нежелательная почта, 垃圾邮件, 垃圾郵件, 迷惑メール,
스팸메일함"""
_SILENT = """trash, deleted, deleted items, deleted messages, bin, wastebasket, sent, sent items, sent messages,
sent mail, sent-mail, drafts, draft, outbox, unsent messages, templates, notes, all mail, important, starred, flagged,
papierkorb, gelöscht, gelöschte elemente, gelöschte objekte, gesendet, gesendete elemente, gesendete objekte,
gesendete nachrichten, entwürfe, postausgang, vorlagen, alle nachrichten, wichtig, markiert,
corbeille, éléments supprimés, messages supprimés, supprimés, envoyés, messages envoyés, éléments envoyés, brouillons,
boîte d'envoi, modèles, tous les messages, suivis,
papelera, elementos eliminados, eliminados, enviados, elementos enviados, mensajes enviados, borradores,
bandeja de salida, plantillas, todos, importantes, destacados,
cestino, posta eliminata, eliminati, inviati, posta inviata, bozze, posta in uscita, modelli, tutti i messaggi,
prullenbak, verwijderd, verwijderde items, verzonden, verzonden items, concepten, postvak uit, sjablonen,
lixeira, itens excluídos, itens eliminados, lixo, itens enviados, rascunhos, caixa de saída, modelos,
kosz, elementy usunięte, wysłane, elementy wysłane, kopie robocze, szkice, skrzynka nadawcza,
koš, odstraněná pošta, odeslané, odeslaná pošta, koncepty, rozepsané, odoslané,
papperskorgen, borttaget, borttagna objekt, skickat, skickade objekt, utkast, utkorgen,
papirkurv, slettet post, slettede elementer, sendt, sendt post, sendte elementer, kladder, søppel,
roskakori, poistetut, lähetetyt, luonnokset, kuka, elküldött, piszkozatok, törölt elemek, elküldött elemek,
çöp kutusu, silinmiş öğeler, gönderilmiş, gönderilmiş öğeler, taslaklar,
корзина, удаленные, удалённые, отправленные, черновики, исходящие, кошик, надіслані, чернетки,
已删除, 已删除邮件, 废纸篓, 已发送, 已发送邮件, 草稿, 草稿箱, 發件箱, ゴミ箱, 削除済みアイテム,
送信済み, 送信済みアイテム, 下書き, 휴지통, 보낸메일함, 보낸 편지함, 임시보관함"""

_JUNK_NAMES = frozenset(" ".join(name.split()) for name in _JUNK.split(","))
_SILENT_NAMES = frozenset(" ".join(name.split()) for name in _SILENT.split(","))


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as it was when looked at: its name on disk below the Maildir ("" is the inbox), which it is, and when
    something came into its parts or left them, in nanoseconds.
    """

    name: str
    which: int
    new_ns: int
    cur_ns: int


def folders(mailbox: OpenMaildir) -> Iterator[Folder]:
    """The inbox first, then all that lies below it, in both layouts; an OSError if the inbox cannot be looked at.

    Links are not followed.
    """
    # Each change to the owner's identity and back takes as long as ten looks.
    with mailbox.owner.acting():
        inbox = _looked_at(mailbox, "")
        if inbox is None:
            raise FileNotFoundError(2, "it is no Maildir", mailbox.path)
        found = [folder for name in _names(mailbox) if (folder := _looked_at(mailbox, name)) is not None]
    yield inbox
    yield from found


def below(mailbox: OpenMaildir) -> Iterator[OpenFolder]:
    """The same folders, to look at what lies in them. Some of them may have no new, cur or tmp."""
    yield mailbox.folder()
    with mailbox.owner.acting():
        names = list(_names(mailbox))
    yield from map(mailbox.folder, names)


def is_folder(mailbox: OpenMaildir, name: str) -> bool:
    """Whether a directory below the Maildir has new, cur and tmp, as far as it seems; nothing is opened."""
    try:
        with mailbox.owner.acting():
            parts = [os.stat(f"{name}/{part}", dir_fd=mailbox.handle, follow_symlinks=False) for part in PARTS]
    except OSError:
        return False
    return all(stat.S_ISDIR(part.st_mode) for part in parts)


def _names(mailbox: OpenMaildir) -> Iterator[str]:
    return itertools.islice(_below(mailbox, "", 0, _Budget(MOST_ENTRIES_IN_ALL)), MOST_FOLDERS)


@dataclass(slots=True)
class _Budget:
    """How many names one look may still read: somebody may have a thousand directories with ten thousand each."""

    left: int


def _below(mailbox: OpenMaildir, name: str, level: int, budget: _Budget) -> Iterator[str]:
    """Maildir++ keeps all its folders beside each other; below what has no dot there may be more."""
    for inner in _subfolders(mailbox, name, budget, dotted=not name):
        path = f"{name}/{inner}" if name else inner
        yield path
        if not inner.startswith(".") and level < MOST_LEVELS:
            yield from _below(mailbox, path, level + 1, budget)


def _subfolders(mailbox: OpenMaildir, name: str, budget: _Budget, *, dotted: bool) -> list[str]:
    if budget.left <= 0:
        return []
    try:
        handle = mailbox.enter(name)
    except OSError:
        return []
    try:
        with mailbox.owner.acting(), os.scandir(handle) as listed:
            entries = list(itertools.islice(listed, min(MOST_ENTRIES, budget.left)))
            budget.left -= len(entries)
            return sorted(
                entry.name
                for entry in entries
                if entry.name not in PARTS
                and (dotted or not entry.name.startswith("."))
                and entry.is_dir(follow_symlinks=False)
            )
    except OSError:
        return []
    finally:
        os.close(handle)


def _looked_at(mailbox: OpenMaildir, name: str) -> Folder | None:
    """A folder by its times alone. A user who puts a link in its place meanwhile changes what he is told himself."""
    path = f"{name}/" if name else ""
    try:
        with mailbox.owner.acting():
            new = os.stat(f"{path}new", dir_fd=mailbox.handle, follow_symlinks=False)
            cur = os.stat(f"{path}cur", dir_fd=mailbox.handle, follow_symlinks=False)
    except OSError:
        return None
    if not (stat.S_ISDIR(new.st_mode) and stat.S_ISDIR(cur.st_mode)):
        return None
    return Folder(name, cur.st_ino, new.st_mtime_ns & MOST_INTEGER, cur.st_mtime_ns & MOST_INTEGER)


def role_of(name: str, *, junk: str, ignore_folders: Iterable[str] = ()) -> FolderRole:
    """What the folder of this name on disk is for. `junk` is what the configuration calls the junk folder, or "auto".

    Folders that people call Junk or Spam are that, whichever of them mail is filed to; what lies below says nothing.
    """
    return _kind(name, junk, tuple(ignore_folders))


@lru_cache(maxsize=4096)
def _kind(name: str, junk: str, ignore_folders: tuple[str, ...]) -> FolderRole:
    if not name:
        return FolderRole.INBOX
    levels = display_levels(name)
    whole = "/".join(levels)
    if whole in {"/".join(display_levels(one)) for one in ignore_folders}:
        return FolderRole.SILENT
    if junk != "auto" and whole == "/".join(display_levels(junk)):
        return FolderRole.JUNK
    if _SILENT_NAMES & set(levels):
        return FolderRole.SILENT
    at = next((index for index, level in enumerate(levels) if level in _JUNK_NAMES), None)
    if at is None:
        return FolderRole.FILED
    return FolderRole.JUNK if at == len(levels) - 1 else FolderRole.SILENT


def display_levels(name: str) -> tuple[str, ...]:
    """The levels of a folder's name on disk as mail programs show them, without regard to case."""
    dotted = name.startswith(".")
    levels = decoded(name.lstrip(".")).casefold().split("." if dotted else "/")
    if len(levels) == 1 and levels[0].startswith("inbox."):
        levels = levels[0].split(".")
    return tuple(levels[1:] if levels[0] == "inbox" and len(levels) > 1 else levels)
