-- What a million variants need. Paired with postgres/0015.

-- The list of variants is read along this index. SQLite takes NULL for the smallest value, so it comes last.
CREATE INDEX meta_sync_state_recent ON meta_sync_state (last_pushed_at DESC, variant_id);
