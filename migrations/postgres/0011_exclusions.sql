-- Variants that an operator keeps out of Meta's catalog. Paired with sqlite/0011.

-- Until the operator takes it back, through every re-ask and another catalog.
ALTER TABLE meta_sync_state ADD COLUMN excluded BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX meta_sync_state_excluded ON meta_sync_state (variant_id) WHERE excluded;
