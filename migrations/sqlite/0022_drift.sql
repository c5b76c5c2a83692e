-- Drift: what Meta shows, compared with what we hold to be true of it. Paired with postgres/0022.

-- One row for each walk over our items; the latest tell what was looked at. `outcome` is NULL while it is under way, `done`
-- at its end, and `left` when another catalog was selected meanwhile.
CREATE TABLE drift_sweep (
    number      BIGINT PRIMARY KEY NOT NULL,
    catalog_id  TEXT NOT NULL,
    after_id    TEXT NOT NULL,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT,
    outcome     TEXT,
    -- Items that were compared, that were in motion, and of which Meta gave no certain answer.
    looked      BIGINT NOT NULL DEFAULT 0,
    passed      BIGINT NOT NULL DEFAULT 0,
    unknown     BIGINT NOT NULL DEFAULT 0,
    calls       BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX drift_sweep_open ON drift_sweep (catalog_id) WHERE outcome IS NULL;

-- What a look found, by variant and class (domain::drift). It is a suspicion until a second look confirms it.
CREATE TABLE drift_finding (
    catalog_id    TEXT NOT NULL,
    variant_id    TEXT NOT NULL,
    class         TEXT NOT NULL,
    -- The sweep that saw it last.
    sweep         BIGINT NOT NULL,
    -- The version of the state that it was seen with: another one makes it a first look again.
    version       BIGINT NOT NULL,
    -- [{"field", "ours", "meta"}, …]
    details       TEXT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    last_seen_at  BIGINT NOT NULL,
    confirmed_at  BIGINT,
    -- When to look again before the next sweep comes by.
    look_at       BIGINT,
    ignored_at    BIGINT,
    -- An operator asked for a repair.
    asked_at      BIGINT,
    repaired_at   BIGINT,
    -- Repaired too often: another writer.
    stopped_at    BIGINT,
    PRIMARY KEY (catalog_id, variant_id, class)
);
CREATE INDEX drift_finding_again ON drift_finding (catalog_id, look_at, variant_id) WHERE look_at IS NOT NULL;
CREATE INDEX drift_finding_class ON drift_finding (catalog_id, class, variant_id);
CREATE INDEX drift_finding_asked ON drift_finding (catalog_id, variant_id) WHERE asked_at IS NOT NULL;
CREATE INDEX drift_finding_open ON drift_finding (catalog_id, class, variant_id)
    WHERE confirmed_at IS NOT NULL AND ignored_at IS NULL AND repaired_at IS NULL AND stopped_at IS NULL;

-- Repairs of the last week: the hourly budget and the stop of what keeps coming back are counted from them.
CREATE TABLE drift_repair (
    variant_id TEXT NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (variant_id, at)
);
CREATE INDEX drift_repair_at ON drift_repair (at);
