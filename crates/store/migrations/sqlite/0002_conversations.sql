-- One conversation with Codex that goes on, of one owner. `turns` is a JSON array of the last exchanges.
CREATE TABLE conversations (
    owner    TEXT NOT NULL,
    id       TEXT NOT NULL,
    created  INTEGER NOT NULL,
    accessed INTEGER NOT NULL,
    thread   TEXT,
    count    INTEGER NOT NULL,
    turns    TEXT NOT NULL,
    PRIMARY KEY (owner, id)
) STRICT;

CREATE INDEX conversations_by_use ON conversations (owner, accessed);
