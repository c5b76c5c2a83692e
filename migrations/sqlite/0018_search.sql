-- Searching and filtering a million variants. Paired with postgres/0018.

-- The search reads the keys of all variants and products, so it reads them from indexes that hold nothing else.
CREATE INDEX product_search ON product (search_key);
CREATE INDEX product_variant_search ON product_variant (search_key);

-- variant_index as the service made it. A shop may replace that view; while the two are equal, the search reads the
-- tables behind it. The text differs in the name only.
CREATE VIEW managed_variant_index AS
SELECT v.id AS variant_id, v.product_id AS product_id, v.sku AS sku,
       p.title AS title, p.slug AS slug, p.status AS status, p.visibility AS visibility,
       (p.deleted_at IS NOT NULL) AS product_deleted, (v.deleted_at IS NOT NULL) AS variant_deleted,
       p.search_key AS product_search_key, v.search_key AS variant_search_key,
       v.price AS price, COALESCE(v.thumbnail, p.thumbnail) AS thumbnail,
       p.vendor_id AS vendor_id, p.brand_id AS brand_id, p.category_id AS category_id
FROM product_variant v
JOIN product p ON p.id = v.product_id;
