-- The managed catalog, the two views that are its read contract, and the pipeline's own tables.
-- Paired with postgres/0001; tests/integration/store.rs compares the two. Times are milliseconds since
-- the Unix epoch; JSON is text here and jsonb there; text compares bytewise on both.

CREATE TABLE vendor (
    id   TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL
);

CREATE TABLE brand (
    id    TEXT PRIMARY KEY NOT NULL,
    title TEXT NOT NULL
);

CREATE TABLE category (
    id        TEXT PRIMARY KEY NOT NULL,
    title     TEXT NOT NULL,
    parent_id TEXT
);

CREATE TABLE product (
    id          TEXT PRIMARY KEY NOT NULL,
    title       TEXT,
    subtitle    TEXT,
    description TEXT,
    slug        TEXT,
    status      TEXT,
    visibility  TEXT,
    thumbnail   TEXT,
    images      TEXT NOT NULL DEFAULT '[]',
    vendor_id   TEXT,
    brand_id    TEXT,
    category_id TEXT,
    deleted_at  BIGINT,
    search_key  TEXT NOT NULL DEFAULT '',
    -- A JSON object for mapper modules, canonical; text on both databases, since jsonb reorders keys.
    extra       TEXT,
    -- SHA-256 of the imported product without its variants: an equal one needs no write.
    digest      TEXT
);
CREATE INDEX product_vendor ON product (vendor_id);
CREATE INDEX product_brand ON product (brand_id);
CREATE INDEX product_category ON product (category_id);

CREATE TABLE product_variant (
    id                  TEXT PRIMARY KEY NOT NULL,
    product_id          TEXT NOT NULL,
    sku                 TEXT,
    ean                 TEXT,
    upc                 TEXT,
    barcode             TEXT,
    price               BIGINT,
    special_price       BIGINT,
    special_price_start BIGINT,
    special_price_end   BIGINT,
    thumbnail           TEXT,
    images              TEXT NOT NULL DEFAULT '[]',
    deleted_at          BIGINT,
    search_key          TEXT NOT NULL DEFAULT '',
    extra               TEXT,
    digest              TEXT
);
CREATE INDEX product_variant_product ON product_variant (product_id);

CREATE TABLE product_option (
    id         TEXT PRIMARY KEY NOT NULL,
    product_id TEXT NOT NULL,
    name       TEXT NOT NULL
);
CREATE INDEX product_option_product ON product_option (product_id);

CREATE TABLE product_option_value (
    id        TEXT PRIMARY KEY NOT NULL,
    option_id TEXT NOT NULL,
    value     TEXT NOT NULL
);

CREATE TABLE variant_option_value (
    variant_id      TEXT NOT NULL,
    position        BIGINT NOT NULL,
    option_value_id TEXT NOT NULL,
    PRIMARY KEY (variant_id, position)
);

CREATE TABLE inventory_stock (
    variant_id        TEXT PRIMARY KEY NOT NULL,
    track_inventory   BOOLEAN NOT NULL DEFAULT TRUE,
    quantity_on_hand  BIGINT NOT NULL DEFAULT 0,
    reserved_quantity BIGINT NOT NULL DEFAULT 0,
    allow_backorder   BOOLEAN NOT NULL DEFAULT FALSE
);

-- Everything the mapper reads. JSON columns are correlated scalar subqueries: grouped joins cost
-- thirty times as much for a batch of 5,000 ids.
CREATE VIEW variant_source AS
SELECT v.id AS variant_id,
       v.product_id AS product_id,
       v.sku AS sku, v.ean AS ean, v.upc AS upc, v.barcode AS barcode,
       v.price AS price, v.special_price AS special_price,
       v.special_price_start AS special_price_start, v.special_price_end AS special_price_end,
       v.thumbnail AS thumbnail, v.images AS images, v.deleted_at AS deleted_at,
       v.extra AS extra,
       p.title AS product_title, p.subtitle AS product_subtitle, p.description AS product_description,
       p.slug AS product_slug, p.status AS product_status, p.visibility AS product_visibility,
       p.thumbnail AS product_thumbnail, p.images AS product_images, p.deleted_at AS product_deleted_at,
       p.extra AS product_extra,
       (SELECT name FROM vendor WHERE vendor.id = p.vendor_id) AS vendor_name,
       (SELECT title FROM brand WHERE brand.id = p.brand_id) AS brand_title,
       (WITH RECURSIVE trail (title, parent_id, depth) AS (
            SELECT c.title, c.parent_id, 0 FROM category c WHERE c.id = p.category_id
            UNION ALL
            SELECT c.title, c.parent_id, trail.depth + 1 FROM category c
            JOIN trail ON c.id = trail.parent_id WHERE trail.depth < 20)
        SELECT json_group_array(title) FROM (SELECT title FROM trail ORDER BY depth DESC)) AS categories,
       (SELECT json_group_array(json_object('name', name, 'value', value)) FROM (
            SELECT o.name AS name, ov.value AS value FROM variant_option_value vov
            JOIN product_option_value ov ON ov.id = vov.option_value_id
            JOIN product_option o ON o.id = ov.option_id
            WHERE vov.variant_id = v.id ORDER BY vov.position)) AS options,
       i.track_inventory AS track_inventory, i.quantity_on_hand AS quantity_on_hand,
       i.reserved_quantity AS reserved_quantity, i.allow_backorder AS allow_backorder
FROM product_variant v
JOIN product p ON p.id = v.product_id
LEFT JOIN inventory_stock i ON i.variant_id = v.id;

-- The narrow view for bootstrap, listing and fan-out.
CREATE VIEW variant_index AS
SELECT v.id AS variant_id, v.product_id AS product_id, v.sku AS sku,
       p.title AS title, p.slug AS slug, p.status AS status, p.visibility AS visibility,
       (p.deleted_at IS NOT NULL) AS product_deleted, (v.deleted_at IS NOT NULL) AS variant_deleted,
       p.search_key AS product_search_key, v.search_key AS variant_search_key,
       v.price AS price, COALESCE(v.thumbnail, p.thumbnail) AS thumbnail,
       p.vendor_id AS vendor_id, p.brand_id AS brand_id, p.category_id AS category_id
FROM product_variant v
JOIN product p ON p.id = v.product_id;

-- Interned sets of field names: what a push sent, what Meta may hold.
CREATE TABLE field_set (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    -- SHA-256 of the names.
    hash   TEXT NOT NULL UNIQUE,
    fields TEXT NOT NULL
);

CREATE TABLE meta_sync_state (
    variant_id       TEXT PRIMARY KEY NOT NULL,
    product_id       TEXT,
    catalog_id       TEXT,
    meta_retailer_id TEXT,
    status           TEXT NOT NULL,
    last_handle      TEXT,
    -- Hash of the payload that Meta confirmed or is judging; NULL when neither holds.
    last_pushed_hash TEXT,
    last_pushed_at   BIGINT,
    last_error       TEXT,
    attempts         BIGINT NOT NULL DEFAULT 0,
    -- Ever sent to the current catalog and not confirmed deleted.
    at_meta          BOOLEAN NOT NULL DEFAULT FALSE,
    fields_at_meta   BIGINT,
    mapper_digest    TEXT,
    -- When time alone changes the payload: the next edge of a sale window.
    reeval_at        BIGINT,
    version          BIGINT NOT NULL DEFAULT 1,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL
);
CREATE INDEX meta_sync_state_status ON meta_sync_state (status, updated_at, variant_id);
CREATE INDEX meta_sync_state_handle ON meta_sync_state (last_handle) WHERE status = 'submitted';
CREATE INDEX meta_sync_state_reeval ON meta_sync_state (reeval_at) WHERE reeval_at IS NOT NULL;
CREATE INDEX meta_sync_state_product ON meta_sync_state (product_id);

CREATE TABLE meta_outbox (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    variant_id   TEXT NOT NULL,
    intent       TEXT NOT NULL,
    origin       TEXT NOT NULL,
    enqueued_at  BIGINT NOT NULL,
    processed_at BIGINT,
    outcome      TEXT,
    attempts     BIGINT NOT NULL DEFAULT 0,
    -- Class of the last fault that left the intent open (mapper, unknown, throttled, token, …).
    class        TEXT,
    last_error   TEXT,
    parked_at    BIGINT,
    -- Held back by the mass-delete guard, until somebody releases it or a newer intent takes its place.
    held_at      BIGINT,
    released_at  BIGINT
);
CREATE INDEX meta_outbox_fifo ON meta_outbox (processed_at, enqueued_at);
CREATE INDEX meta_outbox_open ON meta_outbox (seq)
    WHERE processed_at IS NULL AND parked_at IS NULL AND held_at IS NULL;
CREATE INDEX meta_outbox_open_variant ON meta_outbox (variant_id, seq) WHERE processed_at IS NULL;

-- One submission a row: an items_batch call from the moment before it is made.
CREATE TABLE meta_batch_handles (
    id                  TEXT PRIMARY KEY NOT NULL,
    catalog_id          TEXT NOT NULL,
    epoch               BIGINT NOT NULL,
    state               TEXT NOT NULL,
    handle              TEXT,
    -- [[variant_id, op, hash, id of the field set sent], …]
    rows                TEXT NOT NULL,
    row_count           BIGINT NOT NULL,
    delete_retailer_ids TEXT NOT NULL DEFAULT '[]',
    mapper_digest       TEXT,
    -- Deletes that nobody asked for: the variant is not eligible any more, or gone.
    implicit_deletes    BIGINT NOT NULL DEFAULT 0,
    submitted_at        BIGINT NOT NULL,
    last_polled_at      BIGINT,
    poll_faults         BIGINT NOT NULL DEFAULT 0,
    completed_at        BIGINT,
    reason              TEXT,
    errors              TEXT
);
CREATE INDEX meta_batch_handles_state ON meta_batch_handles (state, last_polled_at, submitted_at);
CREATE INDEX meta_batch_handles_implicit ON meta_batch_handles (submitted_at) WHERE implicit_deletes > 0;
CREATE UNIQUE INDEX meta_batch_handles_handle ON meta_batch_handles (handle) WHERE handle IS NOT NULL;

-- Who runs the pipeline. Here the process's lock file decides and the row carries the epoch.
CREATE TABLE lease (
    name       TEXT PRIMARY KEY NOT NULL,
    holder     TEXT NOT NULL,
    epoch      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

INSERT INTO lease (name, holder, epoch, expires_at) VALUES ('pipeline', '', 0, 0);

CREATE TABLE limiter (
    catalog_id   TEXT NOT NULL,
    bucket       TEXT NOT NULL,
    closed_until BIGINT,
    last_call_at BIGINT,
    PRIMARY KEY (catalog_id, bucket)
);

-- What stops the channel to Meta, and how the next call is shaped. One row.
CREATE TABLE channel (
    id              BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    problem_code    TEXT,
    problem_message TEXT,
    problem_since   BIGINT,
    -- The credential version a token problem was seen with: a newer one clears it.
    problem_credential BIGINT,
    -- The breaker's own JSON.
    breaker         TEXT NOT NULL DEFAULT '{}',
    row_cap         BIGINT,
    refusals        BIGINT NOT NULL DEFAULT 0
);
INSERT INTO channel (id) VALUES (1);

CREATE TABLE integration_credentials (
    provider                TEXT PRIMARY KEY NOT NULL,
    account_id              TEXT,
    access_token            TEXT,
    access_token_expires_at BIGINT,
    -- The operator's own token stays beside the system user's: a system user may see no businesses.
    user_token              TEXT,
    user_token_expires_at   BIGINT,
    scope                   TEXT,
    metadata                TEXT NOT NULL DEFAULT '{}',
    -- Grows with every write, disconnecting included, so that a late refresh finds itself late.
    version                 BIGINT NOT NULL,
    connected_at            BIGINT,
    updated_at              BIGINT NOT NULL
);

CREATE TABLE setting (
    grp        TEXT NOT NULL,
    key        TEXT NOT NULL,
    value      TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (grp, key)
);
-- Counters that only grow: a reader that remembers one can tell that it is late.
CREATE TABLE revision (
    name  TEXT PRIMARY KEY NOT NULL,
    value BIGINT NOT NULL
);
INSERT INTO revision (name, value) VALUES ('settings', 0), ('credential', 0);

-- State nonces of OAuth consents, hashed; single use.
CREATE TABLE oauth_state (
    nonce_hash TEXT PRIMARY KEY NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);

CREATE TABLE api_token (
    id         TEXT PRIMARY KEY NOT NULL,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- A sealed constant: opening it at start proves that the configured key is the one that sealed the rest.
CREATE TABLE key_check (
    kid    TEXT PRIMARY KEY NOT NULL,
    sealed TEXT NOT NULL
);
