-- Renames: a vendor, brand, category or option that changes its name asks again for the variants that show it.
-- Paired with sqlite/0010.

-- What was renamed since its variants were last asked for: `kind` is vendor, brand, category or product (for the names
-- and values of its options). `walking` marks what the re-ask under way covers; another rename takes the mark away, so
-- that the next re-ask covers it from the beginning.
CREATE TABLE reask_subject (
    kind    TEXT COLLATE "C" NOT NULL,
    id      TEXT COLLATE "C" NOT NULL,
    walking BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (kind, id)
);

CREATE FUNCTION note_renamed(kind TEXT, id TEXT) RETURNS VOID LANGUAGE sql
SECURITY DEFINER SET search_path = meta_catalog, pg_temp AS $$
    INSERT INTO meta_catalog.reask_subject (kind, id) VALUES ($1, $2)
    ON CONFLICT (kind, id) DO UPDATE SET walking = FALSE;
$$;

-- For the triggers of a platform's own tables: `kind` is vendor, brand, category or product. Like enqueue_upsert it never
-- fails the change that it reports.
CREATE FUNCTION enqueue_renamed(kind TEXT, id TEXT) RETURNS VOID LANGUAGE plpgsql
SECURITY DEFINER SET search_path = meta_catalog, pg_temp AS $$
BEGIN
    IF kind NOT IN ('vendor', 'brand', 'category', 'product') THEN
        RAISE EXCEPTION 'the kind is vendor, brand, category or product';
    END IF;
    PERFORM meta_catalog.note_renamed(kind, id);
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'meta_catalog.enqueue_renamed(%, %): %', kind, id, SQLERRM;
END $$;

CREATE FUNCTION vendor_renamed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN PERFORM meta_catalog.note_renamed('vendor', old.id); RETURN NULL; END $$;
CREATE TRIGGER vendor_renamed AFTER UPDATE OF name ON vendor
FOR EACH ROW WHEN (old.name IS DISTINCT FROM new.name) EXECUTE FUNCTION vendor_renamed();
CREATE TRIGGER vendor_removed AFTER DELETE ON vendor FOR EACH ROW EXECUTE FUNCTION vendor_renamed();

CREATE FUNCTION brand_renamed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN PERFORM meta_catalog.note_renamed('brand', old.id); RETURN NULL; END $$;
CREATE TRIGGER brand_renamed AFTER UPDATE OF title ON brand
FOR EACH ROW WHEN (old.title IS DISTINCT FROM new.title) EXECUTE FUNCTION brand_renamed();
CREATE TRIGGER brand_removed AFTER DELETE ON brand FOR EACH ROW EXECUTE FUNCTION brand_renamed();

-- A category that moves changes the trail of everything below it.
CREATE FUNCTION category_renamed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN PERFORM meta_catalog.note_renamed('category', old.id); RETURN NULL; END $$;
CREATE TRIGGER category_renamed AFTER UPDATE OF title, parent_id ON category
FOR EACH ROW WHEN (old.title IS DISTINCT FROM new.title OR old.parent_id IS DISTINCT FROM new.parent_id)
EXECUTE FUNCTION category_renamed();
CREATE TRIGGER category_removed AFTER DELETE ON category FOR EACH ROW EXECUTE FUNCTION category_renamed();

CREATE FUNCTION product_option_renamed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN PERFORM meta_catalog.note_renamed('product', new.product_id); RETURN NULL; END $$;
CREATE TRIGGER product_option_renamed AFTER UPDATE OF name ON product_option
FOR EACH ROW WHEN (old.name IS DISTINCT FROM new.name) EXECUTE FUNCTION product_option_renamed();

CREATE FUNCTION product_option_value_renamed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM meta_catalog.note_renamed('product', o.product_id) FROM meta_catalog.product_option o WHERE o.id = new.option_id;
    RETURN NULL;
END $$;
CREATE TRIGGER product_option_value_renamed AFTER UPDATE OF value ON product_option_value
FOR EACH ROW WHEN (old.value IS DISTINCT FROM new.value) EXECUTE FUNCTION product_option_value_renamed();
