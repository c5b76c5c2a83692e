-- Tries of mapper modules, by the SHA-256 of the file. `tries` counts those from the watched folder that were begun and
-- did not end with a verdict on the file, so a file that ends processes is not tried for ever. `passed_by` is the version
-- of the service whose trial the file passed: that version loads it without another trial.
-- Paired with postgres/0007.

CREATE TABLE mapper_trial (
    digest    TEXT PRIMARY KEY NOT NULL,
    tries     BIGINT NOT NULL,
    passed_by TEXT,
    tried_at  BIGINT NOT NULL
);
