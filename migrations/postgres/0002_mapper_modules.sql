-- Mapper modules: which one is active, what was active, what was offered, and the jobs around a swap.
-- Paired with sqlite/0002.

-- Every mapper module that was active lately, by the SHA-256 of its file, so that every replica can run it.
CREATE TABLE mapper_module (
    digest   TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    name     TEXT NOT NULL,
    version  TEXT NOT NULL,
    bytes    BYTEA NOT NULL,
    added_at BIGINT NOT NULL
);

-- One row an activation; the last one counts, and none means the built-in mapper. `mapper` is a module's digest or
-- `builtin`; `previous` is the activation that this one took the place of.
CREATE TABLE mapper_activation (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mapper       TEXT COLLATE "C" NOT NULL,
    previous     BIGINT,
    source       TEXT NOT NULL,
    activated_at BIGINT NOT NULL
);

-- Files that were offered from anywhere, so that a file which lies in the watched directory is acted on once, whatever
-- was chosen since; and why a bad one was refused, so that it is not compiled again.
CREATE TABLE mapper_offer (
    digest     TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    source     TEXT NOT NULL,
    refused    TEXT,
    offered_at BIGINT NOT NULL
);

-- The re-map under way, or the last one: which variants were asked for again. At most one row.
CREATE TABLE mapper_remap (
    one         BIGINT PRIMARY KEY NOT NULL CHECK (one = 1),
    after_id    TEXT COLLATE "C" NOT NULL,
    total       BIGINT NOT NULL,
    queued      BIGINT NOT NULL,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT
);

-- Previews of modules: what activating them would change. Progress while it runs, the report when it is done.
CREATE TABLE mapper_preview (
    id          TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    digest      TEXT NOT NULL,
    name        TEXT NOT NULL,
    version     TEXT NOT NULL,
    total       BIGINT NOT NULL,
    done        BIGINT NOT NULL,
    report      TEXT,
    error       TEXT,
    started_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    finished_at BIGINT
);
