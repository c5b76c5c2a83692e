-- What the retention needs to find what may go. Paired with postgres/0005.

-- Whether an intent is the last word on its variant. Together with meta_outbox_open_variant it holds each row once.
CREATE INDEX meta_outbox_done_variant ON meta_outbox (variant_id, seq) WHERE processed_at IS NOT NULL;
-- The rows of a submission lie in front of this column, and a call may have half a megabyte of them.
CREATE INDEX meta_batch_handles_closed ON meta_batch_handles (completed_at) WHERE completed_at IS NOT NULL;
