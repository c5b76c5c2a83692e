-- Tries of mapper modules, by the SHA-256 of the file. `tries` counts, for files of the watched folder, how
-- often the file was too slow, and loads that were begun and did not end: a file that ends processes is not loaded for ever. `passed_by` is the version
-- of the service whose trial the file passed: that version loads it without another trial.
-- Paired with postgres/0007.

CREATE TABLE mapper_trial (
    digest    TEXT PRIMARY KEY NOT NULL,
    tries     BIGINT NOT NULL,
    passed_by TEXT,
    tried_at  BIGINT NOT NULL
);
