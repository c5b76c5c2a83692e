-- When the verdict on a submission is asked for again. Paired with sqlite/0009.

-- The pause grows with each answer that is not final, so an endless handle costs few calls. NULL: at once.
ALTER TABLE meta_batch_handles ADD COLUMN polls BIGINT NOT NULL DEFAULT 0;
ALTER TABLE meta_batch_handles ADD COLUMN next_poll_at BIGINT;
-- The rows of a submission lie in front of these columns, and a call may have half a megabyte of them.
CREATE INDEX meta_batch_handles_open ON meta_batch_handles (last_polled_at, submitted_at, next_poll_at)
    WHERE state = 'pending';
