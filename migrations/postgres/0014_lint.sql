-- What is compared across variants, and what was found. Paired with sqlite/0014.

-- The traits of the last payload: [group or null for the product, looks, gtin, link, currency]; NULL when it has none.
ALTER TABLE meta_sync_state ADD COLUMN traits JSONB;
-- The codes of the findings of the last lint pass, sorted, separated by commas; NULL when there is none.
ALTER TABLE meta_sync_state ADD COLUMN lint TEXT;
CREATE INDEX meta_sync_state_lint ON meta_sync_state (lint, updated_at, variant_id) WHERE lint IS NOT NULL;
