-- Renames: a vendor, brand, category or option that changes its name asks again for the variants that show it.
-- Paired with postgres/0010.

-- What was renamed since its variants were last asked for: `kind` is vendor, brand, category or product (for the names
-- and values of its options). `walking` marks what the re-ask under way covers; another rename takes the mark away, so
-- that the next re-ask covers it from the beginning.
CREATE TABLE reask_subject (
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    walking BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (kind, id)
);

CREATE TRIGGER vendor_renamed AFTER UPDATE OF name ON vendor WHEN old.name IS NOT new.name
BEGIN
    INSERT INTO reask_subject (kind, id) VALUES ('vendor', new.id)
    ON CONFLICT (kind, id) DO UPDATE SET walking = FALSE;
END;
CREATE TRIGGER vendor_removed AFTER DELETE ON vendor
BEGIN
    INSERT INTO reask_subject (kind, id) VALUES ('vendor', old.id)
    ON CONFLICT (kind, id) DO UPDATE SET walking = FALSE;
END;

CREATE TRIGGER brand_renamed AFTER UPDATE OF title ON brand WHEN old.title IS NOT new.title
BEGIN
    INSERT INTO reask_subject (kind, id) VALUES ('brand', new.id)
    ON CONFLICT (kind, id) DO UPDATE SET walking = FALSE;
END;
CREATE TRIGGER brand_removed AFTER DELETE ON brand
BEGIN
    INSERT INTO reask_subject (kind, id) VALUES ('brand', old.id)
    ON CONFLICT (kind, id) DO UPDATE SET walking = FALSE;
END;

-- A category that moves changes the trail of everything below it.
CREATE TRIGGER category_renamed AFTER UPDATE OF title, parent_id ON category
WHEN old.title IS NOT new.title OR old.parent_id IS NOT new.parent_id
BEGIN
    INSERT INTO reask_subject (kind, id) VALUES ('category', new.id)
    ON CONFLICT (kind, id) DO UPDATE SET walking = FALSE;
END;
CREATE TRIGGER category_removed AFTER DELETE ON category
BEGIN
    INSERT INTO reask_subject (kind, id) VALUES ('category', old.id)
    ON CONFLICT (kind, id) DO UPDATE SET walking = FALSE;
END;

CREATE TRIGGER product_option_renamed AFTER UPDATE OF name ON product_option WHEN old.name IS NOT new.name
BEGIN
    INSERT INTO reask_subject (kind, id) VALUES ('product', new.product_id)
    ON CONFLICT (kind, id) DO UPDATE SET walking = FALSE;
END;
CREATE TRIGGER product_option_value_renamed AFTER UPDATE OF value ON product_option_value WHEN old.value IS NOT new.value
BEGIN
    INSERT INTO reask_subject (kind, id)
    SELECT 'product', product_id FROM product_option WHERE id = new.option_id
    ON CONFLICT (kind, id) DO UPDATE SET walking = FALSE;
END;
