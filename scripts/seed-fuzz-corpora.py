#!/usr/bin/env python3
"""Seeds fuzz/corpus from the files of the repository. Existing inputs stay."""

import hashlib
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def seed(target, inputs):
    folder = ROOT / "fuzz/corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for content in inputs:
        (folder / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)


fixtures = [json.loads(file.read_text()) for file in sorted((ROOT / "mappers/core/fixtures").glob("*.json"))]
descriptions = [fixture.get("product", {}).get("description") for fixture in fixtures]
seed("html", [text.encode() for text in descriptions if isinstance(text, str)])
seed("import_line", (ROOT / "config/sample-catalog.ndjson").read_bytes().splitlines()[:40])
formats = ROOT / "crates/sync/src/intake/import/formats"
exports = ["shopify/tests/export.csv", "woocommerce/tests/export.csv", "google_merchant/tests/feed.xml"]
seed("import_file", [bytes([at]) + (formats / name).read_bytes() for at, name in enumerate(exports)])
seed("module", [file.read_bytes() for file in sorted((ROOT / "mappers/modules").rglob("*.wasm"))])
seed(
    "graph_answer",
    [
        b"\0\0" + body
        for body in [
            b'{"handles":["AcH"],"validation_status":[{"retailer_id":"a","errors":[{"message":"m"}]}]}',
            b'{"data":[{"handle":"AcH","status":"finished","errors":[{"line":1,"id":"a","message":"m"}],'
            b'"errors_total_count":1,"ids_of_invalid_requests":["a"]}]}',
            b'{"error":{"message":"m","code":190,"error_subcode":460,"is_transient":false,"fbtrace_id":"A"}}',
            b'{"data":{"is_valid":true,"app_id":"1","expires_at":1,"scopes":["s"],"granular_scopes":[]}}',
            b'{"data":[{"id":"1","name":"n"}],"paging":{"cursors":{"after":"x"},"next":"https://m/?after=x"}}',
        ]
    ],
)
seed(
    "usage_header",
    [
        b'{"4000000001":[{"type":"ads_management","call_count":80,"total_cputime":1,"total_time":2,'
        b'"estimated_time_to_regain_access":5}]}',
        b'{"call_count":28,"total_time":25,"total_cputime":25}',
    ],
)
seed("session", [b"better-auth.session_token=abc.def; a=b", b"Bearer abc.def%3D"])
seed("settings", [b'{"currency":"EUR","batch_size":500,"sync_enabled":true,"storefront_base_url":"https://s.example"}'])
seed("mapper_output", [b'{"id":"v1","title":"T","price":"1.00 INR"}'])
