"""The tables of the database of one IMAP account."""

from spamlstm.database import Layout

# What this program did with messages, to be undone: the folder in which a message was, and where it is now. Begun moves
# have the same columns, and the number of the act that they undo, or 0.
_ACTS = """
ALTER TABLE moves ADD COLUMN word TEXT NOT NULL DEFAULT '';
ALTER TABLE moves ADD COLUMN message_id BLOB NOT NULL DEFAULT x'';
ALTER TABLE moves ADD COLUMN undoes INTEGER NOT NULL DEFAULT 0;
CREATE TABLE acts (id INTEGER PRIMARY KEY, folder INTEGER NOT NULL, target INTEGER NOT NULL, validity INTEGER NOT NULL,
    uid INTEGER NOT NULL, content BLOB NOT NULL, size INTEGER NOT NULL, date INTEGER NOT NULL, word TEXT NOT NULL,
    message_id BLOB NOT NULL, time REAL NOT NULL);
CREATE INDEX acts_time ON acts (time);
"""

# One row with the key of the account, so that an account that is no longer in the configuration can be named.
_KEY = """
CREATE TABLE account (key TEXT NOT NULL);
"""

# Whether a classified message was moved to junk or got the keyword for it. Former versions did not record this, so all
# their messages count as such.
_IS_JUNK = """
ALTER TABLE judged ADD COLUMN is_junk INTEGER NOT NULL DEFAULT 1;
"""

# Whether a dry run only reported what would have been done with a message.
_IS_DRY = """
ALTER TABLE judged ADD COLUMN is_dry INTEGER NOT NULL DEFAULT 0;
"""

ACCOUNT_TABLES = Layout(
    version=4,
    schema="""
CREATE TABLE folders (id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, role TEXT NOT NULL, validity INTEGER NOT NULL,
    next_uid INTEGER NOT NULL, messages INTEGER NOT NULL, unseen INTEGER NOT NULL, modseq INTEGER NOT NULL,
    visited REAL NOT NULL);
CREATE TABLE copies (folder INTEGER NOT NULL, uid INTEGER NOT NULL, content BLOB, flags INTEGER NOT NULL,
    status INTEGER NOT NULL, since REAL NOT NULL, size INTEGER NOT NULL, date INTEGER NOT NULL,
    attempts INTEGER NOT NULL, PRIMARY KEY (folder, uid)) WITHOUT ROWID;
CREATE INDEX copies_content ON copies (content) WHERE content IS NOT NULL;
CREATE INDEX copies_size ON copies (size);
CREATE INDEX copies_unread ON copies (folder) WHERE content IS NULL;
CREATE INDEX copies_unsettled ON copies (folder) WHERE status = 1 OR flags >= 8;
CREATE TABLE departures (content BLOB NOT NULL, role TEXT NOT NULL, since REAL NOT NULL, time REAL NOT NULL);
CREATE INDEX departures_content ON departures (content);
CREATE TABLE labels (content BLOB PRIMARY KEY, label TEXT NOT NULL, pending INTEGER NOT NULL,
    attempts INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE judged (content BLOB NOT NULL, date INTEGER NOT NULL, time REAL NOT NULL, PRIMARY KEY (content, date))
    WITHOUT ROWID;
CREATE TABLE moves (id INTEGER PRIMARY KEY, folder INTEGER NOT NULL, uid INTEGER NOT NULL, validity INTEGER NOT NULL,
    content BLOB NOT NULL, size INTEGER NOT NULL, date INTEGER NOT NULL, target INTEGER NOT NULL,
    target_validity INTEGER NOT NULL, target_next INTEGER NOT NULL);"""
    + _ACTS
    + _KEY
    + _IS_JUNK
    + _IS_DRY,
    pragmas=(),
    upgrades={1: _ACTS, 2: _KEY + _IS_JUNK, 3: _IS_DRY},
    loss="; the mail that is now in the account is then not classified",
)
"""The layout of the database."""
