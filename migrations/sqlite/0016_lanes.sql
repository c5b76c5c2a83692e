-- Lanes: stock changes and deletes do not wait behind the whole shop. Paired with postgres/0016.

-- 0 prompt, 1 change, 2 bulk: see domain::intent::Lane. A platform that inserts intents by itself asks for changes.
ALTER TABLE meta_outbox ADD COLUMN lane BIGINT NOT NULL DEFAULT 1 CHECK (lane BETWEEN 0 AND 2);
UPDATE meta_outbox
SET lane = CASE WHEN origin = 'import' AND intent = 'upsert' THEN 2 WHEN intent = 'delete' THEN 0 ELSE lane END
WHERE processed_at IS NULL AND (origin = 'import' OR intent = 'delete');

DROP INDEX meta_outbox_open;
CREATE INDEX meta_outbox_open ON meta_outbox (lane, seq)
    WHERE processed_at IS NULL AND parked_at IS NULL AND held_at IS NULL;

-- Only retention reads it, and only what is processed.
DROP INDEX meta_outbox_fifo;
CREATE INDEX meta_outbox_done ON meta_outbox (processed_at, enqueued_at, seq) WHERE processed_at IS NOT NULL;
