"""Meta's Python SDK against the simulator: nothing of the SDK is changed but the host.

Usage: catalog.py BASE_URL APP_ID APP_SECRET TOKEN CATALOG
Prints one JSON object on the last line; any surprise ends it with a traceback.
"""

import json
import sys
import urllib.request

from facebook_business.adobjects.business import Business
from facebook_business.adobjects.checkbatchrequeststatus import CheckBatchRequestStatus
from facebook_business.adobjects.productcatalog import ProductCatalog
from facebook_business.adobjects.productitem import ProductItem
from facebook_business.adobjects.user import User
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

base_url, app_id, app_secret, token, catalog_id = sys.argv[1:]
FacebookSession.GRAPH = base_url
api = FacebookAdsApi.init(app_id, app_secret, token, crash_log=False)


def advance(ms):
    body = json.dumps({"advance_ms": ms}).encode()
    urllib.request.urlopen(base_url + "/_sim/clock", data=body).read()


def item(item_id, **changes):
    data = {
        "id": item_id, "title": "Belt", "description": "Leather belt", "availability": "in stock", "condition": "new",
        "price": "299.00 INR", "link": "https://shop.example/belt", "image_link": "https://cdn.example/1.jpg", "brand": "Acme",
    }
    return {"method": "UPDATE", "data": {**data, **changes}}


businesses = [b["id"] for b in User("me").get_businesses(fields=[Business.Field.id, Business.Field.name])]
catalogs = [c["name"] for c in Business(businesses[0]).get_owned_product_catalogs(fields=["id", "name"])]

catalog = ProductCatalog(catalog_id)
rows = [item(f"sku-{n}") for n in range(5)] + [item("bad", price="free")]
taken = catalog.create_items_batch(params={"item_type": "PRODUCT_ITEM", "allow_upsert": True, "requests": rows})
handle = taken["handles"][0]


def poll():
    params = {"handle": handle, "load_ids_of_invalid_requests": True}
    field = CheckBatchRequestStatus.Field
    fields = [field.handle, field.status, field.errors, field.errors_total_count, field.ids_of_invalid_requests]
    return catalog.get_check_batch_request_status(fields=fields, params=params)[0]


before = poll()["status"]
advance(600_000)
after = poll()

field = ProductItem.Field
fields = [field.id, field.retailer_id, field.availability, field.price, field.currency, field.review_status, field.errors]
found = catalog.get_products(fields=fields, params={"filter": {"retailer_id": {"eq": "sku-1"}}, "limit": 1})
paged = catalog.get_products(fields=[field.retailer_id], params={"limit": 2})
walked = [product["retailer_id"] for product in paged]

try:
    catalog.get_check_batch_request_status(fields=["errors_summary"], params={"handle": handle})
    unknown_field = None
except FacebookRequestError as error:
    unknown_field = error.api_error_code()

in_batch = []
batch = api.new_batch()
for name in ("me", catalog_id):
    batch.add("GET", (name,), params={"fields": "name"}, success=lambda answer: in_batch.append(answer.json()["name"]))
batch.execute()

print(json.dumps({
    "businesses": businesses, "catalogs": catalogs, "before": before, "after": after["status"],
    "errors_total_count": after["errors_total_count"], "invalid": after["ids_of_invalid_requests"],
    "found": [product.export_all_data() for product in found], "total": paged.total(), "walked": walked,
    "unknown_field": unknown_field, "in_batch": in_batch,
}))
