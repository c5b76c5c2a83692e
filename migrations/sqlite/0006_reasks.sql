-- Re-asks: asking for many variants again, chunk by chunk. Paired with postgres/0006.

-- One row a reason (bootstrap, remap, settings, mapper_upgrade): the re-ask under way, or the last one. `total` is NULL
-- until the variants are counted.
CREATE TABLE reask (
    reason      TEXT PRIMARY KEY NOT NULL,
    after_id    TEXT NOT NULL,
    total       BIGINT,
    queued      BIGINT NOT NULL,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT
);

-- A re-map under way goes on.
INSERT INTO reask (reason, after_id, total, queued, started_at, finished_at)
SELECT 'remap', after_id, total, queued, started_at, finished_at FROM mapper_remap;

DROP TABLE mapper_remap;

-- What the payloads were made with, besides the settings and the active mapper. A start that makes them with something
-- else asks for every mapped variant again. At most one row.
CREATE TABLE made_with (
    one            BIGINT PRIMARY KEY NOT NULL CHECK (one = 1),
    builtin_digest TEXT NOT NULL,
    s3_public_url  TEXT NOT NULL
);
