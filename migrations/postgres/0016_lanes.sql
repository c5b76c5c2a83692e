-- Lanes: stock changes and deletes do not wait behind the whole shop. Paired with sqlite/0016.

-- 0 prompt, 1 change, 2 bulk: see domain::intent::Lane. A platform that inserts intents by itself asks for changes.
ALTER TABLE meta_outbox ADD COLUMN lane BIGINT NOT NULL DEFAULT 1 CHECK (lane BETWEEN 0 AND 2);
UPDATE meta_outbox
SET lane = CASE WHEN origin = 'import' AND intent = 'upsert' THEN 2 WHEN intent = 'delete' THEN 0 ELSE lane END
WHERE processed_at IS NULL AND (origin = 'import' OR intent = 'delete');

DROP INDEX meta_outbox_open;
CREATE INDEX meta_outbox_open ON meta_outbox (lane, seq)
    WHERE processed_at IS NULL AND parked_at IS NULL AND held_at IS NULL;

-- A read of the queue steps over the entries of what was processed until they are cleaned up: by default after a fifth of a
-- table that keeps a week of processed rows. With a million of them each read took 5 ms, and one after a long snapshot 190.
ALTER TABLE meta_outbox SET (autovacuum_vacuum_scale_factor = 0.05);

-- Only retention reads it, and only what is processed.
DROP INDEX meta_outbox_fifo;
CREATE INDEX meta_outbox_done ON meta_outbox (processed_at, enqueued_at, seq) WHERE processed_at IS NOT NULL;

-- For a platform's own triggers, as enqueue_upsert: a change of stock does not wait behind other changes.
CREATE FUNCTION enqueue_stock(variant TEXT) RETURNS VOID LANGUAGE plpgsql
SECURITY DEFINER SET search_path = meta_catalog, pg_temp AS $$
BEGIN
    INSERT INTO meta_catalog.meta_outbox (variant_id, intent, origin, enqueued_at, lane)
    VALUES (variant, 'upsert', 'event', (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT, 0);
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'meta_catalog.enqueue_stock(%): %', variant, SQLERRM;
END $$;

CREATE OR REPLACE FUNCTION enqueue_delete(variant TEXT) RETURNS VOID LANGUAGE plpgsql
SECURITY DEFINER SET search_path = meta_catalog, pg_temp AS $$
BEGIN
    INSERT INTO meta_catalog.meta_outbox (variant_id, intent, origin, enqueued_at, lane)
    VALUES (variant, 'delete', 'event', (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT, 0);
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'meta_catalog.enqueue_delete(%): %', variant, SQLERRM;
END $$;
