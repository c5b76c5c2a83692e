-- Turns: work during which Meta is asked and that two replicas must not do at a time. Paired with sqlite/0003.

-- A turn ends with its work, or when a holder that died has not renewed it; by the server's clock.
CREATE TABLE turn (
    work       TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    holder     TEXT NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
