// Meta's Node SDK against the simulator: nothing of the SDK is changed but the host.
//
// Usage: catalog.js BASE_URL TOKEN CATALOG
// Prints one JSON object on the last line; any surprise ends it with status 1.
'use strict';

const {FacebookAdsApi, User, Business, ProductCatalog} = require('facebook-nodejs-business-sdk');

const [baseUrl, token, catalogId] = process.argv.slice(2);
Object.defineProperty(FacebookAdsApi, 'GRAPH', {get: () => baseUrl});
FacebookAdsApi.init(token, 'en_US', false);

const advance = ms =>
  fetch(`${baseUrl}/_sim/clock`, {method: 'POST', body: JSON.stringify({advance_ms: ms})});

const item = (id, changes = {}) => ({
  method: 'UPDATE',
  data: {
    id, title: 'Belt', description: 'Leather belt', availability: 'in stock', condition: 'new', price: '299.00 INR',
    link: 'https://shop.example/belt', image_link: 'https://cdn.example/1.jpg', brand: 'Acme', ...changes,
  },
});

async function main() {
  const businesses = await new User('me').getBusinesses(['id', 'name']);
  const catalogs = await new Business(businesses[0].id).getOwnedProductCatalogs(['id', 'name']);

  const catalog = new ProductCatalog(catalogId);
  const requests = [...Array(5).keys()].map(n => item(`sku-${n}`)).concat(item('bad', {price: 'free'}));
  const taken = await catalog.createItemsBatch([], {item_type: 'PRODUCT_ITEM', allow_upsert: true, requests});
  const handle = taken._data.handles[0];

  const poll = async () => {
    const fields = ['handle', 'status', 'errors', 'errors_total_count', 'ids_of_invalid_requests'];
    const params = {handle, load_ids_of_invalid_requests: true};
    return (await catalog.getCheckBatchRequestStatus(fields, params))[0]._data;
  };
  const before = (await poll()).status;
  await advance(600000);
  const after = await poll();

  const fields = ['id', 'retailer_id', 'availability', 'price', 'currency', 'review_status', 'errors'];
  const found = await catalog.getProducts(fields, {filter: {retailer_id: {eq: 'sku-1'}}, limit: 1});
  const walked = [];
  let page = await catalog.getProducts(['retailer_id'], {limit: 2});
  for (;;) {
    walked.push(...page.map(product => product._data.retailer_id));
    if (!page.hasNext()) break;
    page = await page.next();
  }

  let unknownField = null;
  try {
    await catalog.getCheckBatchRequestStatus(['errors_summary'], {handle});
  } catch (error) {
    unknownField = error.response.code;
  }

  console.log(JSON.stringify({
    businesses: businesses.map(b => b.id), catalogs: catalogs.map(c => c.name), before, after: after.status,
    errors_total_count: after.errors_total_count, invalid: after.ids_of_invalid_requests,
    found: found.map(product => product._data), walked, unknown_field: unknownField,
  }));
}

main().catch(error => {
  console.error(error);
  process.exit(1);
});
