-- What happened in each minute, and since when the pipeline has its holder. Paired with sqlite/0020.

-- What a submission brought about: rows that Meta confirmed (NULL without a verdict) and rows that Meta refused.
ALTER TABLE meta_batch_handles ADD COLUMN confirmed BIGINT;
ALTER TABLE meta_batch_handles ADD COLUMN refused BIGINT;

-- A minute is counted from these two alone: a row of the table holds up to 5,000 records.
DROP INDEX meta_batch_handles_closed;
CREATE INDEX meta_batch_handles_closed ON meta_batch_handles (completed_at, submitted_at, confirmed, refused)
    WHERE completed_at IS NOT NULL;
CREATE INDEX meta_batch_handles_sent ON meta_batch_handles (submitted_at, row_count) WHERE handle IS NOT NULL;

-- One row for each minute of the last day (domain::history), by its number since 1970.
CREATE TABLE meta_history (
    minute      BIGINT PRIMARY KEY NOT NULL,
    sent        BIGINT NOT NULL,
    confirmed   BIGINT NOT NULL,
    refused     BIGINT NOT NULL,
    -- From Meta's acceptance to the verdict, in milliseconds.
    latency_p50 BIGINT,
    latency_p95 BIGINT,
    -- Open intents at the end of the minute, and the age of the oldest in milliseconds; NULL when nobody looked then.
    backlog     BIGINT,
    oldest_age  BIGINT
);

ALTER TABLE lease ADD COLUMN taken_at BIGINT;
