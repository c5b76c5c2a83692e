-- Searching and filtering a million variants. Paired with sqlite/0018.

-- The search reads trigram indexes. pg_trgm comes with PostgreSQL, and a role that may create objects in the database may
-- install it; where it is not there or may not be installed, the search reads all keys.
DO $migration$
DECLARE
    home TEXT;
BEGIN
    -- Whatever a provider says to it: no start fails for a faster search.
    BEGIN
        CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'the extension pg_trgm cannot be installed, so the search reads all variants: %', SQLERRM;
    END;
    SELECT n.nspname INTO home FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_trgm' AND has_schema_privilege(n.oid, 'USAGE');
    IF home IS NOT NULL THEN
        EXECUTE format('CREATE INDEX product_search ON product USING gin (search_key %I.gin_trgm_ops)', home);
        EXECUTE format('CREATE INDEX product_variant_search ON product_variant USING gin (search_key %I.gin_trgm_ops)', home);
    END IF;
END $migration$;

-- variant_index as the service made it. A shop may replace that view; while the two are equal, the search reads the
-- tables behind it.
CREATE VIEW managed_variant_index AS
SELECT v.id AS variant_id, v.product_id AS product_id, v.sku AS sku,
       p.title AS title, p.slug AS slug, p.status AS status, p.visibility AS visibility,
       (p.deleted_at IS NOT NULL) AS product_deleted, (v.deleted_at IS NOT NULL) AS variant_deleted,
       p.search_key AS product_search_key, v.search_key AS variant_search_key,
       v.price AS price, COALESCE(v.thumbnail, p.thumbnail) AS thumbnail,
       p.vendor_id AS vendor_id, p.brand_id AS brand_id, p.category_id AS category_id
FROM product_variant v
JOIN product p ON p.id = v.product_id;
