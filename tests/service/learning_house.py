"""A house whose user is heard: with label stores, places and the reading of moves over it."""

import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import on_disk
from house import House

from spamlstm.config import Layer
from spamlstm.learning.labels import Labels
from spamlstm.mail import maildir
from spamlstm.mail.content import content_id
from spamlstm.mail.maildir import Name
from spamlstm.model.classifier import Assessed
from spamlstm.model.policy import NO_EVIDENCE
from spamlstm.model.prints import runs
from spamlstm.service.learners import Learners
from spamlstm.service.moves import Moves
from spamlstm.service.places import Places


class Base:
    """Gives every message the same score."""

    def __init__(self, label="words 1", score=0.5):
        self.bundle = SimpleNamespace(label=label)
        self.score = score

    def assess(self, raw):
        return Assessed(None, self.score, NO_EVIDENCE, runs(raw), ())

    def assess_many(self, mails, *, readers=None):
        return (Assessed(key, self.score, NO_EVIDENCE, runs(raw), ()) for key, raw in mails)


class LearningHouse(House):
    """`look` is a round of the reading of moves; `labels` is what holds then."""

    layer = Layer.SHARED
    later = 0.0
    """The reading of moves has the clock of the files, or one that is so many seconds ahead."""

    def open_quietly(self):
        if hasattr(self, "places"):
            self.learners.close()
            self.places.close()
        super().open_quietly()
        self.learners = Learners(self.state, base=Base(), layer=self.layer, clock=self.clock, monotonic=self.clock)
        self.places = Places.open(self.state)
        self.moves = Moves(
            config=self.pipeline.config,
            places=self.places,
            journal=self.journal,
            learners=self.learners,
            clock=lambda: time.time() + self.later,
        )
        self.pipeline._moved = self.moves.knows

    def look(self):
        for _ in self.moves.round([self.root]):
            pass

    def folder(self, name, parent=None):
        path = os.path.join(parent or self.root, name)  # noqa: PTH118
        on_disk.create_folder(parent or self.root, path)
        return path

    def labels(self):
        """By content id."""
        store = Labels.find(self.state)
        if store is None:
            return {}
        said = {one.content: str(one.label) for one in store.last()}
        store.close()
        return said

    def label_of(self, raw):
        return self.labels().get(content_id(raw))

    def where(self, raw):
        """The files of a message: (folder, path)."""
        wanted, found = content_id(raw), []
        for path, folders, _ in os.walk(self.root):
            if "cur" in folders:
                entries = on_disk.messages(path)
                found += [entry for entry in entries if content_id(on_disk.content(entry.path)) == wanted]
        return found

    def move(self, raw, folder, *, how="rename", flags=None):
        """A user moves a message: a rename (mutt, afew), a link under a fresh name (IMAP), a copy and a removal."""
        (entry,) = self.where(raw)
        name = Name.parse(entry.name)
        info = "2," + (name.flags if flags is None else flags)
        target = os.path.join(folder, "cur", f"{name.base if how == 'rename' else maildir.unique()}:{info}")  # noqa: PTH118
        if how == "rename":
            os.rename(entry.path, target)  # noqa: PTH104
        else:
            (os.link if how == "link" else shutil.copy2)(entry.path, target)
            os.unlink(entry.path)  # noqa: PTH108
        return target

    def flag(self, raw, flags):
        for entry in self.where(raw):
            target = os.path.join(entry.folder, "cur", f"{Name.parse(entry.name).base}:2,{flags}")  # noqa: PTH118
            os.rename(entry.path, target)  # noqa: PTH104

    def put(self, content, folder, *, part="cur", flags="S"):
        """Somebody else delivers straight into a folder."""
        path = Path(folder, part, f"{maildir.unique()}" + (f":2,{flags}" if part == "cur" else ""))
        path.write_bytes(content)
        os.utime(path, (self.clock.now + 1,) * 2)
        return path
