-- Who began a login, when an API token ends, and cancelled previews. Paired with sqlite/0008.

-- The caller that began a login: an API token, or a user with a session. The callback asks whether that caller may still
-- connect. `session_token` is sealed, and removed when the state is used. A login under way has none of them and is begun
-- again.
ALTER TABLE oauth_state ADD COLUMN api_token_id TEXT COLLATE "C";
ALTER TABLE oauth_state ADD COLUMN user_id TEXT COLLATE "C";
ALTER TABLE oauth_state ADD COLUMN session_token TEXT;

-- NULL: the token does not expire.
ALTER TABLE api_token ADD COLUMN expires_at BIGINT;

-- When an operator cancelled the preview. The process that runs it sees this at its next chunk.
ALTER TABLE mapper_preview ADD COLUMN cancelled_at BIGINT;
