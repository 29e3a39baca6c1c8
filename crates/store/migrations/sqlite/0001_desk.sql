-- Times are microseconds since 1970; ids and digests are text, so that a person with `sqlite3` can read them.

CREATE TABLE meta (schema_version INTEGER NOT NULL) STRICT;
INSERT INTO meta VALUES (0);

-- One question to a person, and what became of it.
CREATE TABLE approvals (
    id               TEXT PRIMARY KEY,
    digest           TEXT NOT NULL,
    principal        TEXT NOT NULL,
    client           TEXT,
    conversation     TEXT,
    server           TEXT NOT NULL,
    tool             TEXT NOT NULL,
    definition       TEXT NOT NULL,
    class            TEXT NOT NULL,
    arguments        TEXT NOT NULL,
    arguments_digest TEXT NOT NULL,
    rule             TEXT NOT NULL,
    policy           TEXT NOT NULL,
    asked            INTEGER NOT NULL,
    expires          INTEGER NOT NULL,
    requesters       TEXT NOT NULL,
    state            TEXT NOT NULL CHECK (state IN ('open', 'approved', 'denied', 'spent', 'expired')),
    approver         TEXT,
    way              TEXT,
    settled          INTEGER,
    rounds           INTEGER NOT NULL DEFAULT 0,
    CHECK ((state IN ('open', 'expired')) = (approver IS NULL)),
    CHECK ((approver IS NULL) = (way IS NULL) AND (way IS NULL) = (settled IS NULL))
) STRICT;

CREATE INDEX approvals_by_call ON approvals (digest, principal);
CREATE INDEX approvals_by_state ON approvals (state, expires);

-- A person's leave that lasts.
CREATE TABLE grants (
    id           TEXT PRIMARY KEY,
    principal    TEXT NOT NULL,
    server       TEXT NOT NULL,
    tool         TEXT NOT NULL,
    definition   TEXT NOT NULL,
    arguments    TEXT NOT NULL,
    conversation TEXT,
    until        INTEGER NOT NULL,
    given        INTEGER NOT NULL,
    giver        TEXT NOT NULL,
    approval     TEXT
) STRICT;

CREATE INDEX grants_by_tool ON grants (server, tool);
