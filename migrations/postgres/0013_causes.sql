-- What is wrong with a variant, to group by and to filter by. Paired with sqlite/0013.

-- The codes of the mapper's warnings about the last payload, sorted, separated by commas; NULL when there is none.
ALTER TABLE meta_sync_state ADD COLUMN warnings TEXT;
-- Why it failed or was skipped, as `source:code`, without what differs from variant to variant.
ALTER TABLE meta_sync_state ADD COLUMN cause TEXT;
CREATE INDEX meta_sync_state_warnings ON meta_sync_state (warnings, updated_at, variant_id) WHERE warnings IS NOT NULL;
CREATE INDEX meta_sync_state_cause ON meta_sync_state (cause, updated_at, variant_id) WHERE cause IS NOT NULL;
