-- What a million variants need. Paired with sqlite/0015.

-- The list of variants is read along this index.
CREATE INDEX meta_sync_state_recent ON meta_sync_state (last_pushed_at DESC NULLS LAST, variant_id);

-- Without statistics the planner read all option values again for each variant. LIMIT 1 leaves it no choice but the
-- primary keys. A platform's own view stays as it is: only a view that is still the one of 0001 is replaced.
CREATE VIEW former_variant_source AS
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
        SELECT COALESCE(jsonb_agg(title ORDER BY depth DESC), '[]') FROM trail) AS categories,
       (SELECT COALESCE(jsonb_agg(jsonb_build_object('name', o.name, 'value', ov.value) ORDER BY vov.position), '[]')
            FROM variant_option_value vov
            JOIN product_option_value ov ON ov.id = vov.option_value_id
            JOIN product_option o ON o.id = ov.option_id
            WHERE vov.variant_id = v.id) AS options,
       i.track_inventory AS track_inventory, i.quantity_on_hand AS quantity_on_hand,
       i.reserved_quantity AS reserved_quantity, i.allow_backorder AS allow_backorder
FROM product_variant v
JOIN product p ON p.id = v.product_id
LEFT JOIN inventory_stock i ON i.variant_id = v.id;

DO $migration$
BEGIN
    IF pg_get_viewdef('former_variant_source'::regclass) = pg_get_viewdef('variant_source'::regclass)
        AND (SELECT reloptions FROM pg_class WHERE oid = 'variant_source'::regclass) IS NULL
    THEN
        CREATE OR REPLACE VIEW variant_source AS
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
            SELECT c.title, c.parent_id, trail.depth + 1 FROM trail
            CROSS JOIN LATERAL (SELECT title, parent_id FROM category WHERE id = trail.parent_id LIMIT 1) AS c
            WHERE trail.depth < 20)
        SELECT COALESCE(jsonb_agg(title ORDER BY depth DESC), '[]') FROM trail) AS categories,
       (SELECT COALESCE(jsonb_agg(jsonb_build_object('name', o.name, 'value', ov.value) ORDER BY vov.position), '[]')
            FROM variant_option_value vov
            CROSS JOIN LATERAL (
                SELECT option_id, value FROM product_option_value WHERE id = vov.option_value_id LIMIT 1) AS ov
            CROSS JOIN LATERAL (SELECT name FROM product_option WHERE id = ov.option_id LIMIT 1) AS o
            WHERE vov.variant_id = v.id) AS options,
       i.track_inventory AS track_inventory, i.quantity_on_hand AS quantity_on_hand,
       i.reserved_quantity AS reserved_quantity, i.allow_backorder AS allow_backorder
FROM product_variant v
JOIN product p ON p.id = v.product_id
LEFT JOIN inventory_stock i ON i.variant_id = v.id;
    END IF;
END $migration$;

DROP VIEW former_variant_source;
