-- What was sent last. Paired with sqlite/0021.

-- The body of a call as it was sent, packed. A submission leads to it; it goes with the submission, or before it when
-- the bodies together become too many (domain::retention).
CREATE TABLE meta_batch_bodies (
    submission_id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    made_at       BIGINT NOT NULL,
    bytes         BIGINT NOT NULL,
    body          BYTEA NOT NULL
);
-- It is packed already.
ALTER TABLE meta_batch_bodies ALTER COLUMN body SET STORAGE EXTERNAL;
-- How much there is, newest first, without a look at the bodies.
CREATE INDEX meta_batch_bodies_made ON meta_batch_bodies (made_at, submission_id, bytes);
