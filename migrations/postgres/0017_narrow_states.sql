-- A verdict changes no index of the state. Paired with sqlite/0017.

-- Most updates turn `submitted` into `synced`. When no index holds what they change, and the page has room, PostgreSQL
-- writes nothing but the new row (a HOT update): a fifth of the work.
ALTER TABLE meta_sync_state SET (fillfactor = 50);

DROP INDEX meta_sync_state_status;
DROP INDEX meta_sync_state_handle;
DROP INDEX meta_sync_state_warnings;
DROP INDEX meta_sync_state_cause;
DROP INDEX meta_sync_state_lint;

-- When the row came to its cause or warnings; a push that leaves both as they were leaves this too.
ALTER TABLE meta_sync_state ADD COLUMN issue_at BIGINT;
UPDATE meta_sync_state SET issue_at = updated_at
WHERE status IN ('failed', 'skipped', 'deleted') OR cause IS NOT NULL OR warnings IS NOT NULL OR lint IS NOT NULL;
-- The state of a row that is neither at Meta's side nor on its way.
ALTER TABLE meta_sync_state ADD COLUMN idle TEXT
    GENERATED ALWAYS AS (CASE WHEN status IN ('pending', 'failed', 'skipped', 'deleted') THEN status END) STORED;

CREATE INDEX meta_sync_state_idle ON meta_sync_state (idle, issue_at DESC, variant_id) WHERE idle IS NOT NULL;
-- A filter by these orders its variants by when they were last sent, without a look at their rows.
CREATE INDEX meta_sync_state_warnings ON meta_sync_state (warnings, issue_at, variant_id, last_pushed_at)
    WHERE warnings IS NOT NULL;
CREATE INDEX meta_sync_state_cause ON meta_sync_state (cause, issue_at, variant_id, last_pushed_at)
    WHERE cause IS NOT NULL;
CREATE INDEX meta_sync_state_lint ON meta_sync_state (lint, issue_at, variant_id, last_pushed_at)
    WHERE lint IS NOT NULL;
