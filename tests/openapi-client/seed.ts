// The types that clients of the admin API are written against, and the generated ones held against them: what the API
// answers must be assignable to what a client expects. It may say more. tests/integration/http/openapi.rs compiles this.

import type { components, paths } from "./api.js";

type MetaTokenKind = "user" | "system_user";

type MetaConnectionStatus = {
  connected: boolean;
  accountId: string | null;
  connectedAt: string | null;
  scope: string | null;
  syncEnabled: boolean;
  configuration: {
    oauthClient: "configured" | "missing";
    feed: "configured" | "missing";
    missingKeys: string[];
  };
  selection: {
    businessId: string;
    businessName: string;
    catalogId: string;
    catalogName: string;
    systemUserId: string;
    tokenKind: MetaTokenKind;
  } | null;
  counts: {
    synced: number;
    submitted: number;
    pending: number;
    failed: number;
    skipped: number;
    deleted: number;
    outboxPending: number;
    handlesPending: number;
  };
};

type MetaCatalogSummary = {
  id: string;
  name: string;
  productCount: number | null;
  vertical: string | null;
};

type MetaBusinessSummary = {
  id: string;
  name: string;
  ownedCatalogs: MetaCatalogSummary[];
  clientCatalogs: MetaCatalogSummary[];
};

type StoredStatus = "synced" | "submitted" | "pending" | "failed" | "skipped" | "deleted";
type SyncStatus = StoredStatus | "never_synced";

type MetaItemSummary = {
  variantId: string;
  productId: string;
  productTitle: string;
  productSlug: string;
  productStatus: string;
  productVisibility: string;
  sku: string | null;
  price: number | null;
  thumbnail: string | null;
  syncStatus: SyncStatus;
  metaRetailerId: string | null;
  lastHandle: string | null;
  lastPushedAt: string | null;
  lastError: string | null;
  attempts: number;
};

type MetaItemDetail = {
  variant: {
    id: string;
    sku: string | null;
    price: number | null;
    specialPrice: number | null;
    thumbnail: string | null;
  };
  product: {
    id: string;
    title: string;
    slug: string;
    status: string;
    visibility: string;
    thumbnail: string | null;
  };
  inventory: {
    trackInventory: boolean;
    quantityOnHand: number;
    reservedQuantity: number;
    allowBackorder: boolean;
  } | null;
  syncState: {
    status: StoredStatus;
    metaRetailerId: string | null;
    lastHandle: string | null;
    lastPushedHash: string | null;
    lastPushedAt: string | null;
    lastError: string | null;
    attempts: number;
  } | null;
  eligibility: { eligible: boolean; reason: string | null };
  mappedItemData: Record<string, unknown> | null;
};

type MetaItemLiveStatus = {
  found: boolean;
  metaId: string | null;
  retailerId: string | null;
  availability: string | null;
  price: string | null;
  reviewStatus: string | null;
  errors: Array<{ message: string }>;
};

type MetaFailedItem = {
  variantId: string;
  metaRetailerId: string | null;
  lastHandle: string | null;
  attempts: number;
  lastError: string | null;
  lastPushedAt: string | null;
  updatedAt: string;
};

type Envelope<T> = { data: T; message: string; statusCode: number };

/** What an operation answers with this status. */
type Answer<
  Path extends keyof paths,
  Method extends keyof paths[Path],
  Status extends number,
> = paths[Path][Method] extends { responses: { [S in Status]: { content: { "application/json": infer Body } } } }
  ? Body
  : never;

/** Compiles where a client that expects `Expected` can read `Actual`; an operation that is missing is `never`. */
type Reads<Expected, Actual extends Expected> = [Actual] extends [never] ? false : true;

export const fits: [
  Reads<Envelope<{ authUrl: string }>, Answer<"/admin/meta/oauth/start", "get", 200>>,
  Reads<Envelope<{ connected: boolean }>, Answer<"/admin/meta/oauth/callback", "get", 200>>,
  Reads<Envelope<{ disconnected: boolean }>, Answer<"/admin/meta/oauth", "delete", 200>>,
  Reads<Envelope<MetaBusinessSummary[]>, Answer<"/admin/meta/businesses", "get", 200>>,
  Reads<
    Envelope<{ systemUserId: string; catalogId: string; tokenKind: MetaTokenKind }>,
    Answer<"/admin/meta/select-catalog", "post", 200>
  >,
  Reads<Envelope<MetaConnectionStatus>, Answer<"/admin/meta/status", "get", 200>>,
  Reads<Envelope<{ enqueuedVariants: number }>, Answer<"/admin/meta/bootstrap", "post", 202>>,
  Reads<Envelope<{ variantId: string; enqueued: boolean }>, Answer<"/admin/meta/resync/{variantId}", "post", 200>>,
  Reads<Envelope<MetaFailedItem[]>, Answer<"/admin/meta/errors", "get", 200>>,
  Reads<Envelope<MetaItemSummary[]>, Answer<"/admin/meta/items", "get", 200>>,
  Reads<Envelope<MetaItemDetail>, Answer<"/admin/meta/items/{variantId}", "get", 200>>,
  Reads<Envelope<MetaItemLiveStatus>, Answer<"/admin/meta/items/{variantId}/meta-status", "get", 200>>,
  Reads<
    Envelope<{ variantId: string; enqueued: boolean }>,
    Answer<"/admin/meta/items/{variantId}/resync", "post", 200>
  >,
  Reads<
    Envelope<{ variantId: string; enqueued: boolean }>,
    Answer<"/admin/meta/items/{variantId}/delete-from-meta", "post", 202>
  >,
  Reads<Envelope<{ enqueued: number }>, Answer<"/admin/meta/items/bulk/resync-failed", "post", 202>>,
  Reads<Envelope<{ enqueued: number }>, Answer<"/admin/meta/items/bulk/resync-skipped", "post", 202>>,
] = [true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true];

// Closed words are closed in the client too, and what may be left out is the only thing that is optional.
type Detail = components["schemas"]["ItemDetail"];
export const action: Detail["next"]["action"] = "upsert";
// @ts-expect-error No such action.
export const noAction: Detail["next"]["action"] = "teleport";
// @ts-expect-error No such key.
export const noKey: components["schemas"]["Configuration"]["missingKeys"] = ["colour"];
// @ts-expect-error No such code.
export const noCode: components["schemas"]["ProblemView"]["code"] = "bad_luck";
export const body: components["schemas"]["Selection"] = {
  businessId: "1",
  businessName: "Acme",
  catalogId: "2",
  catalogName: "Acme Master",
};
