-- What a row is parked for, and how many are. Paired with postgres/0004.

-- Faults of the row's own (its mapping), apart from those of the channel: only these park it.
ALTER TABLE meta_outbox ADD COLUMN row_faults BIGINT NOT NULL DEFAULT 0;

-- Few rows are parked or held, and every look at the status counts them.
CREATE INDEX meta_outbox_parked ON meta_outbox (seq) WHERE processed_at IS NULL AND parked_at IS NOT NULL;
CREATE INDEX meta_outbox_held ON meta_outbox (variant_id) WHERE processed_at IS NULL AND held_at IS NOT NULL;
