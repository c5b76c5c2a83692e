-- The audit trail, and lists of submissions by time. Paired with sqlite/0019.

-- One row for each action of an operator: written before the action as `open`, and closed with its outcome after it. A row
-- that stays `open` belongs to a process that ended in between. The table is bounded (`pipeline::retention`), so a filter
-- walks it by its key.
CREATE TABLE meta_audit (
    id             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at             BIGINT NOT NULL,
    principal_kind TEXT NOT NULL,
    principal_id   TEXT COLLATE "C" NOT NULL,
    principal_name TEXT,
    -- The user who impersonates the principal.
    impersonator   TEXT,
    action         TEXT NOT NULL,
    subject        TEXT,
    -- A JSON object.
    details        TEXT NOT NULL,
    outcome        TEXT NOT NULL,
    error_code     TEXT,
    finished_at    BIGINT
);

CREATE INDEX meta_batch_handles_recent ON meta_batch_handles (submitted_at, id);
CREATE INDEX meta_batch_handles_failed ON meta_batch_handles (submitted_at, id) WHERE state = 'failed';
