-- Browsers load a page twice: a login that was completed answers again as the first time. Paired with postgres/0012.

ALTER TABLE oauth_state ADD COLUMN completed_at BIGINT;
