// A shop's own pipeline to Meta in Node: node baseline.mjs DATABASE_URL META_URL VARIANTS
//
// It copies the variants, with empty states and an intent each, into a schema of its own, and takes them to synced. The
// drain reads a call's intents, reads source and states in batches, maps, leaves out what has an equal hash, makes one
// call, and records it; the poll asks for the verdicts. The two run side by side, each with its connection, and neither
// waits for its next tick. Prints the rows a second as JSON. The copying is not measured.
import { createHash } from "node:crypto";
import pg from "pg";

const [url, meta, variants] = process.argv.slice(2);
const BATCH = 5000;
const HANDLES = 16;
const CATALOG = "4000000001";
const SETTINGS = { currency: "INR", storefront: "https://shop.example", pictures: "https://cdn.shop.example" };

// Numbers of the type bigint are small here.
pg.types.setTypeParser(20, Number);

async function copy(db, count) {
  const tables = ["vendor", "brand", "category", "product", "product_variant", "inventory_stock"];
  const some = `SELECT id FROM meta_catalog.product_variant ORDER BY id LIMIT ${Number(count)}`;
  await db.query("CREATE SCHEMA baseline");
  for (const table of tables) {
    await db.query(`CREATE TABLE baseline.${table} (LIKE meta_catalog.${table} INCLUDING ALL)`);
    const key = { product_variant: "id", inventory_stock: "variant_id" }[table];
    const where = key ? `WHERE ${key} IN (${some})` : "";
    await db.query(`INSERT INTO baseline.${table} SELECT * FROM meta_catalog.${table} ${where}`);
  }
  await db.query(`
    SET search_path = baseline;
    CREATE TABLE sync_state (
      variant_id text PRIMARY KEY, meta_retailer_id text, status text NOT NULL, last_handle text,
      last_pushed_hash text, last_pushed_at timestamptz, last_error text, attempts int NOT NULL DEFAULT 0,
      updated_at timestamptz NOT NULL DEFAULT now());
    CREATE INDEX ON sync_state (last_handle);
    CREATE TABLE outbox (
      id bigserial PRIMARY KEY, variant_id text NOT NULL, intent text NOT NULL, attempts int NOT NULL DEFAULT 0,
      enqueued_at timestamptz NOT NULL DEFAULT now(), processed_at timestamptz);
    CREATE INDEX ON outbox (processed_at, enqueued_at);
    CREATE TABLE batch_handle (
      handle text PRIMARY KEY, status text NOT NULL, delete_retailer_ids jsonb NOT NULL, errors jsonb,
      submitted_at timestamptz NOT NULL DEFAULT now(), last_polled_at timestamptz);
    INSERT INTO outbox (variant_id, intent) SELECT id, 'upsert' FROM product_variant ORDER BY id;
    ANALYZE`);
}

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&nbsp;": " " };

function plain(html) {
  const text = html.replace(/<[^>]*>/g, " ").replace(/&(amp|lt|gt|quot|#39|nbsp);/g, (entity) => ENTITIES[entity]);
  return text.replace(/\s+/g, " ").trim().slice(0, 9999);
}

const picture = (key) => (/^https?:/.test(key) ? key : `${SETTINGS.pictures}/${key}`);

function map(row) {
  const images = [row.thumbnail, ...row.images, row.product_thumbnail, ...row.product_images].filter(Boolean);
  const left = row.quantity_on_hand - row.reserved_quantity;
  const untracked = row.track_inventory === false;
  const data = {
    id: row.id,
    title: row.title.trim().slice(0, 200),
    description: plain(row.description || row.title),
    link: `${SETTINGS.storefront}/product/${encodeURIComponent(row.slug)}`,
    image_link: images.length > 0 ? picture(images[0]) : undefined,
    additional_image_link: [...new Set(images.slice(1))].slice(0, 10).map(picture),
    availability: untracked || left > 0 ? "in stock" : row.allow_backorder ? "available for order" : "out of stock",
    price: `${(row.price / 100).toFixed(2)} ${SETTINGS.currency}`,
    condition: "new",
    brand: row.brand || row.vendor || undefined,
    mpn: row.sku?.trim(),
    item_group_id: row.product_id,
    google_product_category: [row.category3, row.category2, row.category1].filter(Boolean).join(" > ") || undefined,
  };
  // Canonical: sorted keys, nothing that is missing.
  const sorted = {};
  for (const key of Object.keys(data).sort()) {
    if (data[key] !== undefined) sorted[key] = data[key];
  }
  return sorted;
}

const SOURCE = `
  SELECT v.id, v.product_id, v.sku, v.price, v.thumbnail, v.images, v.deleted_at,
         p.title, p.description, p.slug, p.status, p.visibility, p.deleted_at AS product_deleted_at,
         p.thumbnail AS product_thumbnail, p.images AS product_images, b.title AS brand, w.name AS vendor,
         c1.title AS category1, c2.title AS category2, c3.title AS category3,
         i.track_inventory, i.quantity_on_hand, i.reserved_quantity, i.allow_backorder
  FROM product_variant v
  JOIN product p ON p.id = v.product_id
  LEFT JOIN brand b ON b.id = p.brand_id
  LEFT JOIN vendor w ON w.id = p.vendor_id
  LEFT JOIN category c1 ON c1.id = p.category_id
  LEFT JOIN category c2 ON c2.id = c1.parent_id
  LEFT JOIN category c3 ON c3.id = c2.parent_id
  LEFT JOIN inventory_stock i ON i.variant_id = v.id
  WHERE v.id = ANY($1)`;

const isEligible = (row) =>
  !row.deleted_at && !row.product_deleted_at && row.status === "active" && row.visibility === "public" &&
  row.price > 0 && row.slug;

// One tick; returns whether there was anything to do.
async function drain(db) {
  const { rows: outbox } = await db.query(
    `SELECT id, variant_id, intent FROM outbox WHERE processed_at IS NULL AND attempts < 5
     ORDER BY enqueued_at, id LIMIT ${BATCH}`,
  );
  if (outbox.length === 0) return false;
  const latest = new Map(outbox.map((row) => [row.variant_id, row.intent]));
  const ids = [...latest.keys()];
  const sources = new Map((await db.query(SOURCE, [ids])).rows.map((row) => [row.id, row]));
  const states = new Map(
    (await db.query("SELECT variant_id, last_pushed_hash FROM sync_state WHERE variant_id = ANY($1)", [ids])).rows.map(
      (row) => [row.variant_id, row.last_pushed_hash],
    ),
  );
  const requests = [];
  const sent = { ids: [], hashes: [] };
  const deletes = [];
  for (const [id, intent] of latest) {
    const source = sources.get(id);
    if (intent === "delete" || !source || !isEligible(source)) {
      if (!states.has(id)) continue;
      requests.push({ method: "DELETE", data: { id } });
      deletes.push(id);
      sent.ids.push(id);
      sent.hashes.push(null);
      continue;
    }
    const data = map(source);
    const hash = createHash("sha256").update(JSON.stringify(data)).digest("hex");
    if (states.get(id) === hash) continue;
    requests.push({ method: "UPDATE", data });
    sent.ids.push(id);
    sent.hashes.push(hash);
  }
  if (requests.length > 0) {
    const answer = await fetch(`${meta}/v25.0/${CATALOG}/items_batch`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ item_type: "PRODUCT_ITEM", allow_upsert: true, requests }),
    });
    if (!answer.ok) throw new Error(`items_batch: ${answer.status}`);
    for (const handle of (await answer.json()).handles) {
      await db.query(
        `INSERT INTO sync_state (variant_id, meta_retailer_id, status, last_handle, last_pushed_hash, last_pushed_at)
         SELECT id, id, 'submitted', $3, hash, now() FROM unnest($1::text[], $2::text[]) AS sent (id, hash)
         ON CONFLICT (variant_id) DO UPDATE SET status = 'submitted', last_handle = excluded.last_handle,
           last_pushed_hash = excluded.last_pushed_hash, last_pushed_at = now(), updated_at = now()`,
        [sent.ids, sent.hashes, handle],
      );
      // After the states: the poll may ask as soon as the handle is there.
      await db.query("INSERT INTO batch_handle (handle, status, delete_retailer_ids) VALUES ($1, 'pending', $2)", [
        handle,
        JSON.stringify(deletes),
      ]);
    }
  }
  await db.query("UPDATE outbox SET processed_at = now() WHERE id = ANY($1)", [outbox.map((row) => row.id)]);
  return true;
}

// One round; returns whether there was anything to ask.
async function poll(db) {
  const { rows: pending } = await db.query(
    `SELECT handle, delete_retailer_ids FROM batch_handle WHERE status = 'pending' ORDER BY submitted_at LIMIT ${HANDLES}`,
  );
  for (const { handle, delete_retailer_ids: deletes } of pending) {
    const query = new URLSearchParams({ handle, fields: "handle,status,ids_of_invalid_requests,errors_summary,data" });
    const answer = await fetch(`${meta}/v25.0/${CATALOG}/check_batch_request_status?${query}`);
    const [status] = (await answer.json()).data;
    if (status.status === "in_progress") {
      await db.query("UPDATE batch_handle SET last_polled_at = now() WHERE handle = $1", [handle]);
      continue;
    }
    if (deletes.length > 0) {
      await db.query(
        `UPDATE sync_state SET status = 'deleted', updated_at = now()
         WHERE last_handle = $1 AND status = 'submitted' AND variant_id = ANY($2)`,
        [handle, deletes],
      );
    }
    await db.query(
      "UPDATE sync_state SET status = 'synced', updated_at = now() WHERE last_handle = $1 AND status = 'submitted'",
      [handle],
    );
    await db.query("UPDATE batch_handle SET status = 'completed', errors = $2 WHERE handle = $1", [
      handle,
      JSON.stringify(status.errors),
    ]);
  }
  return pending.length > 0;
}

async function connect() {
  const db = new pg.Client({ connectionString: url });
  await db.connect();
  await db.query("SET search_path = baseline");
  return db;
}

const db = await connect();
await copy(db, variants);
const other = await connect();
const began = performance.now();
let isDraining = true;
const drained = (async () => {
  while (await drain(db));
  isDraining = false;
})();
const polled = (async () => {
  for (;;) {
    const wasDraining = isDraining;
    const found = await poll(other);
    if (!found && !wasDraining) return;
    if (!found) await new Promise((resolve) => setTimeout(resolve, 5));
  }
})();
await Promise.all([drained, polled]);
const seconds = (performance.now() - began) / 1000;
const { rows: [count] } = await db.query(
  "SELECT COUNT(*) AS all, COUNT(*) FILTER (WHERE status = 'synced') AS synced FROM sync_state",
);
if (count.synced !== count.all || count.all === 0) throw new Error(`${count.synced} of ${count.all} are synced`);
console.log(JSON.stringify({ rows: count.all, seconds, rowsPerSecond: count.all / seconds }));
await Promise.all([db.end(), other.end()]);
