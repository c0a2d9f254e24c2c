"""The folders of a Maildir: their listing, roles, names on disk and IMAP keywords.

The inbox is the Maildir itself. Its subdirectories new, cur and tmp are called parts.
"""

import base64
import binascii
import itertools
import os
import re
import stat
import string
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from spamlstm.database import MOST_INTEGER
from spamlstm.maildir.names import DELIVERED, PARTS, AnyPart
from spamlstm.maildir.opened import OpenFolder, OpenMaildir, open_plain

# More folders than people have. The owner of a Maildir controls its folders, and a loop of mounts is endless.
MOST_FOLDERS = 2000
MOST_LEVELS = 8
# The largest number of directory entries that are read in one directory (20 ms), and in all directories of a Maildir
# (50 ms).
MOST_ENTRIES = 20_000
MOST_ENTRIES_IN_ALL = 50_000


class FolderRole(StrEnum):
    """The role of a folder in filtering and learning."""

    INBOX = "inbox"
    JUNK = "junk"
    FILED = "filed"
    """A folder in which a user keeps mail."""

    IGNORED = "ignored"
    """Trash, Sent, Drafts and similar folders. No labels are created for messages in these folders."""


# The only table of folder names for filing, learning and `adopt`, in the languages in which mail programs name folders.
# A Trash folder with a name that is missing here would turn deleted mail into ham. The configuration can add names
# (ignore_folders).
_JUNK = """junk, spam, junk e-mail, bulk mail, junk email, junk mail, bulk, junk-e-mail, spam mail, spamverdacht,
unerwünscht, unerwünschte werbung, werbung, courrier indésirable, indésirable, indésirables, pourriel, pourriels,
correo no deseado, correo basura, no deseado, posta indesiderata, indesiderata, ongewenste e-mail, ongewenst,
ongewenste reclame, lixo eletrônico, lixo electrónico, correo lixo, correu brossa, nevyžádaná pošta, nevyžiadaná pošta,
wiadomości-śmieci, wiadomości śmieci, niechciane, skräppost, uønsket, uønsket e-post, uønsket e-mail, uønsket mail,
uønsket post, søppelpost, roskaposti, rämpspost, mēstules, levélszemét, önemsiz e-posta, gereksiz e-posta,
istenmeyen e-posta, neželena pošta, neželjena pošta, e-mail nedorit, mesaje nedorite, ανεπιθύμητη αλληλογραφία,
ανεπιθύμητα, спам, нежелательная почта, небажана пошта, нежелана поща, דואר זבל, البريد العشوائي,
البريد غير الهام, อีเมลขยะ, thư rác, 垃圾邮件, 垃圾郵件, 迷惑メール, スパム, 스팸메일함, 스팸함, 스팸, 정크 메일"""
_IGNORED = """trash, deleted, deleted items, deleted messages, bin, wastebasket, sent, sent items, sent messages,
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


def _names(table: str) -> tuple[str, ...]:
    return tuple(_compared(" ".join(name.split())) for name in table.split(","))


def _compared(name: str) -> str:
    """Return a name in the form in which names are compared. macOS decomposes accented letters."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


JUNK_NAMES = _names(_JUNK)
"""The names of junk folders, case-folded, in the order in which filing prefers them."""

_ROLES = dict.fromkeys(_names(_IGNORED), FolderRole.IGNORED) | dict.fromkeys(JUNK_NAMES, FolderRole.JUNK)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder found by a walk through the Maildir."""

    name: str
    """The path of the folder on disk below the Maildir. "" is the inbox."""
    inode: int
    """The inode number of the folder's cur, which does not change when the folder is renamed."""
    new_ns: int
    """The modification time of new in nanoseconds, which is the time of the last added or removed name."""
    cur_ns: int
    """The modification time of cur in nanoseconds."""
    new_inode: int = field(default=0, compare=False)
    """The inode number of the folder's new, or 0 if it was not read."""


def folders(mailbox: OpenMaildir) -> Iterator[Folder]:
    """Yield the inbox, then all folders below it. The layout may be Maildir++ or fs. Links are not followed.

    Raises OSError if the inbox cannot be read.
    """
    # Switching to the owner's identity and back takes as long as ten stat calls.
    with mailbox.owner.acting():
        inbox = _status(mailbox, "")
        if inbox is None:
            raise FileNotFoundError(2, "it is not a Maildir", mailbox.path)
        found = [folder for name in _walk(mailbox) if (folder := _status(mailbox, name)) is not None]
    yield inbox
    yield from found


def below(mailbox: OpenMaildir) -> Iterator[OpenFolder]:
    """Yield the inbox and all directories below it as folders, including directories that lack new, cur or tmp.

    Each folder is opened when it is first used.
    """
    yield mailbox.folder()
    with mailbox.owner.acting():
        names = list(_walk(mailbox))
    yield from map(mailbox.folder, names)


def is_folder(mailbox: OpenMaildir, name: str) -> bool:
    """Return whether the directory `name` below the Maildir has new, cur and tmp. A link is treated as missing."""
    return _stat_parts(mailbox, name, PARTS) is not None


def _stat_parts(mailbox: OpenMaildir, name: str, parts: Sequence[AnyPart]) -> list[os.stat_result] | None:
    """Return the status of each part of the folder `name`, or None if a part is not a directory.

    No descriptor is opened, so symbolic links in the path of the folder are followed. Only the owner of the Maildir can
    create such links, and only the owner is affected.
    """
    above, found = f"{name}/" if name else "", []
    try:
        with mailbox.owner.acting():
            for part in parts:
                status = os.stat(above + part, dir_fd=mailbox.handle, follow_symlinks=False)
                if not stat.S_ISDIR(status.st_mode):
                    return None
                found.append(status)
    except OSError:
        return None
    return found


def _walk(mailbox: OpenMaildir) -> Iterator[str]:
    return itertools.islice(_below(mailbox, "", 0, _Budget(MOST_ENTRIES_IN_ALL)), MOST_FOLDERS)


@dataclass(slots=True)
class _Budget:
    """The number of directory entries that one walk may still read.

    The limit is needed because a Maildir may have a thousand directories with 10,000 entries each.
    """

    left: int


def _below(mailbox: OpenMaildir, name: str, level: int, budget: _Budget) -> Iterator[str]:
    try:
        inner_names = subfolders(mailbox, name, budget)
    except OSError:
        return
    for inner in inner_names:
        path = f"{name}/{inner}" if name else inner
        yield path
        # Maildir++ keeps all folders side by side at the top level. The Legacy layout of mbsync has
        # `Lists/.sub/.subsub`.
        if (name or not inner.startswith(".")) and level < MOST_LEVELS:
            yield from _below(mailbox, path, level + 1, budget)


def subfolders(mailbox: OpenMaildir, name: str, budget: _Budget | None = None) -> list[str]:
    """Return the sorted names of the directories in the directory `name`, without new, cur and tmp.

    Reads at most MOST_ENTRIES entries, and at most the number left in `budget`. Raises OSError if the directory cannot
    be read.
    """
    most = min(MOST_ENTRIES, budget.left) if budget else MOST_ENTRIES
    if most <= 0:
        return []
    with mailbox.entered(name) as handle, mailbox.owner.acting(), os.scandir(handle) as listed:
        entries = list(itertools.islice(listed, most))
        if budget:
            budget.left -= len(entries)
        return sorted(one.name for one in entries if one.name not in PARTS and one.is_dir(follow_symlinks=False))


def _status(mailbox: OpenMaildir, name: str) -> Folder | None:
    found = _stat_parts(mailbox, name, DELIVERED)
    if found is None:
        return None
    new, cur = found
    return Folder(name, cur.st_ino, new.st_mtime_ns & MOST_INTEGER, cur.st_mtime_ns & MOST_INTEGER, new.st_ino)


def role_of(name: str, *, junk: str, ignore_folders: Iterable[str] = ()) -> FolderRole:
    """Return the role of the folder with the name `name` on disk.

    `junk` is the configured name of the junk folder, or "auto". Every folder with a junk name is a junk folder,
    including junk folders into which no mail is filed. A folder below a junk folder is a junk folder too if its name
    has no letters (`.Junk.2020`, an archive) or is a junk name. All other folders below a folder with a junk name or an
    ignored name are IGNORED, because some people keep false positives there (`.Spam.ham`).
    """
    return _role(name, junk, tuple(ignore_folders))


_SENT_NAMES = frozenset(
    _names(
        """sent, sent items, sent messages, sent mail, sent-mail, gesendet, gesendete elemente, gesendete objekte,
        gesendete nachrichten, envoyés, messages envoyés, éléments envoyés, enviados, elementos enviados,
        mensajes enviados, inviati, posta inviata, verzonden, verzonden items, itens enviados, wysłane,
        elementy wysłane, odeslané, odeslaná pošta, odoslané, skickat, skickade objekt, sendt, sendt post,
        sendte elementer, lähetetyt, elküldött, elküldött elemek, gönderilmiş, gönderilmiş öğeler, отправленные,
        надіслані, 已发送, 已发送邮件, 送信済み, 送信済みアイテム, 보낸메일함, 보낸 편지함"""
    )
)


def is_sent(name: str) -> bool:
    """Return whether the folder with the name `name` on disk has the mail that the user sent. Its role is IGNORED."""
    *upper, last = display_levels(name)
    return last in _SENT_NAMES and not any(level in _ROLES for level in upper)


@lru_cache(maxsize=4096)
def _role(name: str, junk: str, ignore_folders: tuple[str, ...]) -> FolderRole:
    if not name:
        return FolderRole.INBOX
    levels = display_levels(name)
    if any(levels in possible_levels(one) for one in ignore_folders):
        return FolderRole.IGNORED
    if junk != "auto" and levels in possible_levels(junk):
        return FolderRole.JUNK
    at = next((at for at, level in enumerate(levels) if level in _ROLES), None)
    if at is None:
        return FolderRole.FILED
    is_junk = all(level in JUNK_NAMES or not any(map(str.isalpha, level)) for level in levels[at:])
    return FolderRole.JUNK if is_junk else FolderRole.IGNORED


def possible_levels(configured: str) -> set[tuple[str, ...]]:
    """Return the results of `display_levels` for the folders that a configured name may mean.

    Mail programs separate levels by dots or slashes, depending on the server.
    """
    return {display_levels(configured), display_levels("." + configured.replace("/", ".").removeprefix("."))}


@lru_cache(maxsize=4096)
def display_levels(name: str) -> tuple[str, ...]:
    """Return the levels of a folder's name on disk as mail programs show them, case-folded and without INBOX."""
    dotted = name.startswith(".")
    levels = _compared(decoded(name.lstrip("."))).split("." if dotted else "/")
    if len(levels) == 1 and levels[0].startswith("inbox."):
        levels = levels[0].split(".")
    if not dotted:
        levels = [level.removeprefix(".") for level in levels]
    return tuple(levels[1:] if levels[0] == "inbox" and len(levels) > 1 else levels)


# Matches folders of both layouts. Does not match Dovecot's files or sieve scripts in a Maildir that is a home folder.
_FOLDER_NAME = re.compile(r"\.(?!dovecot|.*\.sieve$).+|[A-Z][^.]*")


def linked_folders(mailbox: OpenMaildir) -> list[str]:
    """Return the symbolic links directly below the Maildir with names like folder names. `folders` skips these links.

    Only the names are read, because the target of a link may be on a server that does not respond. At most MOST_ENTRIES
    names are read. Raises OSError if the names cannot be read.
    """
    with mailbox.entered("") as handle, mailbox.owner.acting(), os.scandir(handle) as listed:
        entries = itertools.islice(listed, MOST_ENTRIES)
        return sorted(entry.name for entry in entries if entry.is_symlink() and _is_like_a_folder(entry.name))


def _is_like_a_folder(name: str) -> bool:
    return _FOLDER_NAME.fullmatch(name) is not None or display_levels(name)[-1] in JUNK_NAMES


# --- names on disk: IMAP's modified UTF-7 (RFC 3501, section 5.1.3) ------------------------------------------------

_NOT_ASCII = re.compile(r"[^\x20-\x7e]+")
_ENCODED = re.compile(r"&([A-Za-z0-9+,]*)-")


def encoded(name: str) -> str:
    """Return a folder's name as servers write it on disk, in modified UTF-7."""

    def word(match: re.Match[str]) -> str:
        encoded = base64.b64encode(match[0].encode("utf-16-be", "surrogatepass"), b"+,")
        return f"&{encoded.decode().rstrip('=')}-"

    return name if name.isascii() else _NOT_ASCII.sub(word, name.replace("&", "&-"))


def decoded(name: str) -> str:
    """Return a folder's name on disk as readable text. Parts that are not encoded correctly are left unchanged."""

    def word(match: re.Match[str]) -> str:
        if not match[1]:
            return "&"
        try:
            return base64.b64decode(match[1] + "=" * (-len(match[1]) % 4), b"+,").decode("utf-16-be")
        except (binascii.Error, UnicodeDecodeError):
            return match[0]

    return _ENCODED.sub(word, name) if "&" in name else name


# --- IMAP keywords ----------------------------------------------------------------------------------------------------

# The file `dovecot-keywords` of a folder lists the keywords that its lower-case flag letters stand for, one keyword a
# line, at most 26. The file is only read here. Writing it requires Dovecot's own lock, and other programs would show an
# added keyword as unknown.
_MOST_KEYWORD_BYTES = 1 << 16

# The keyword registered by RFC 5788 comes first, then the keyword of Thunderbird.
SPAM_WORDS = ("$Junk", "Junk")
HAM_WORDS = ("$NotJunk", "NonJunk")


def keyword_names(folder: OpenFolder) -> dict[str, str]:
    """Return the keyword of each letter in `folder`. The dict is empty if the list is missing or cannot be read."""
    try:
        lines = _keyword_list(folder).decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        number, _, word = line.partition(" ")
        if word and number.isascii() and number.isdecimal() and len(number) < 3 and int(number) < 26:
            found[string.ascii_lowercase[int(number)]] = word
    return found


def _keyword_list(folder: OpenFolder) -> bytes:
    with folder.mailbox.owner.acting():
        handle = open_plain("dovecot-keywords", folder.handle(), shown=f"{folder.path}/dovecot-keywords")
    try:
        return os.read(handle, _MOST_KEYWORD_BYTES)
    finally:
        os.close(handle)


def keyword_letter(folder: OpenFolder, wanted: Sequence[str]) -> str | None:
    """Return the letter of the first keyword of `wanted` that `folder` has, ignoring case, or None."""
    known = {word.casefold(): sign for sign, word in keyword_names(folder).items()}
    return next((known[word.casefold()] for word in wanted if word.casefold() in known), None)


def keyword_mapping(source: OpenFolder, target: OpenFolder) -> dict[str, str]:
    """Return a dict from each keyword letter of `source` to the letter of the same keyword in `target`.

    Letters whose keyword is missing in `target` are omitted.
    """
    there = {word: sign for sign, word in keyword_names(target).items()}
    return {sign: there[word] for sign, word in keyword_names(source).items() if word in there}
