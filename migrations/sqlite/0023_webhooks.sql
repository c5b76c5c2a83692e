-- Notifications of Meta. Paired with postgres/0023.

-- How often a notification named an open submission: it is asked for at once, but not without end.
ALTER TABLE meta_batch_handles ADD COLUMN notices BIGINT NOT NULL DEFAULT 0;
-- One row: the catalog whose notifications come, and when the last ones came.
CREATE TABLE webhook (
    id            BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    -- The catalog that is subscribed.
    catalog_id    TEXT,
    subscribed_at BIGINT,
    -- The last call that failed: the catalog that it was about, and why.
    failed_id     TEXT,
    failed_at     BIGINT,
    problem       TEXT,
    -- The last notification with a good signature, and the last one that named an open submission.
    received_at   BIGINT,
    woke_at       BIGINT,
    -- Counts those: the holder of the lease looks at it.
    wakes         BIGINT NOT NULL DEFAULT 0
);
INSERT INTO webhook (id) VALUES (1);
