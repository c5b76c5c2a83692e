-- Turns: work during which Meta is asked and that must not be done twice at a time. Paired with postgres/0003.

-- A turn ends with its work, or when a holder that died has not renewed it.
CREATE TABLE turn (
    work       TEXT PRIMARY KEY NOT NULL,
    holder     TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
