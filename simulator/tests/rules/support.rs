//! A simulator with a frozen clock and a client for it.

use graph_simulator::{Config, Fault, Handle, Simulator};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

pub(crate) const APP: &str = "1000000001";
pub(crate) const SECRET: &str = "simulator-app-secret";
pub(crate) const USER: &str = "2000000001";
pub(crate) const BUSINESS: &str = "3000000001";
pub(crate) const CATALOG: &str = "4000000001";
pub(crate) const OTHER_CATALOG: &str = "4000000002";

/// Longer than processing, publishing and review of the default world.
pub(crate) const SETTLED_MS: i64 = 120_000;

pub(crate) struct Sim {
    pub(crate) handle: Handle,
    pub(crate) http: reqwest::Client,
    pub(crate) token: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// `(error.code, error.error_subcode)`.
    pub(crate) fn code(&self) -> (i64, Option<i64>) {
        let body = self.json();
        let code = body["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error: {body}"));
        (code, body["error"]["error_subcode"].as_i64())
    }

    pub(crate) fn header(&self, name: &str) -> Option<Value> {
        let text = self.headers.get(name)?.to_str().expect("header text");
        Some(serde_json::from_str(text).expect("header is JSON"))
    }
}

impl Sim {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { seed: Some(7), ..Config::default() };
        change(&mut config);
        let handle = Simulator::spawn(config).await.expect("a free port");
        handle.freeze();
        let token = handle.mint_token(USER, None);
        let no_redirects = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().redirect(no_redirects).build().expect("a client");
        Self { handle, http, token }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.handle.base_url())
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        self.try_send(request).await.expect("an answer")
    }

    /// `Err` when the connection broke before the answer's end.
    pub(crate) async fn try_send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Reply> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply { status, headers, text: response.text().await? })
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Reply {
        self.get_as(&self.token, path, query).await
    }

    pub(crate) async fn get_as(&self, token: &str, path: &str, query: &[(&str, &str)]) -> Reply {
        let url = self.url(&format!("v25.0/{path}"));
        self.send(self.http.get(url).bearer_auth(token).query(query)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.post_as(&self.token, path, body).await
    }

    pub(crate) async fn post_as(&self, token: &str, path: &str, body: Value) -> Reply {
        let url = self.url(&format!("v25.0/{path}"));
        self.send(self.http.post(url).bearer_auth(token).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(self.http.delete(self.url(&format!("v25.0/{path}"))).bearer_auth(&self.token)).await
    }

    pub(crate) async fn control(&self, path: &str, body: Value) -> Value {
        let reply = self.send(self.http.post(self.url(&format!("_sim/{path}"))).json(&body)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    }

    pub(crate) async fn look(&self, path: &str) -> Value {
        self.send(self.http.get(self.url(&format!("_sim/{path}")))).await.json()
    }

    pub(crate) fn plan(&self, fault: Value) {
        let fault: Fault = serde_json::from_value(fault).expect("a fault");
        self.handle.plan(fault);
    }

    /// Sends rows to the first catalog.
    pub(crate) async fn batch(&self, requests: Value) -> Reply {
        let body = json!({"item_type": "PRODUCT_ITEM", "allow_upsert": true, "requests": requests});
        self.post(&format!("{CATALOG}/items_batch"), body).await
    }

    /// Sends rows that must be accepted, and returns their handle.
    pub(crate) async fn submit(&self, requests: Value) -> String {
        let body = self.batch(requests).await.json();
        body["handles"][0].as_str().unwrap_or_else(|| panic!("no handle: {body}")).to_owned()
    }

    /// Sends rows and advances the clock until they are fully processed.
    pub(crate) async fn settle(&self, requests: Value) -> String {
        let handle = self.submit(requests).await;
        self.handle.advance(SETTLED_MS);
        handle
    }

    pub(crate) async fn poll_reply(&self, handle: &str, query: &[(&str, &str)]) -> Reply {
        let query: Vec<_> = query.iter().copied().chain([("handle", handle)]).collect();
        self.get(&format!("{CATALOG}/check_batch_request_status"), &query).await
    }

    /// Polls with the list of ids; the one element of `data`.
    pub(crate) async fn poll(&self, handle: &str) -> Value {
        let body = self.poll_reply(handle, &[("load_ids_of_invalid_requests", "true")]).await.json();
        assert_eq!(body["data"].as_array().map(Vec::len), Some(1), "{body}");
        body["data"][0].clone()
    }

    pub(crate) fn saved(&self, id: &str) -> Option<Value> {
        self.handle.items(CATALOG).expect("the catalog").remove(id)
    }
}

/// A good item.
pub(crate) fn item(id: &str) -> Value {
    json!({
        "id": id, "title": "Belt", "description": "Leather belt", "availability": "in stock", "condition": "new",
        "price": "299.00 INR", "link": "https://shop.example/p/belt", "image_link": "https://cdn.example/1.jpg",
        "brand": "Acme",
    })
}

/// A good item with some fields changed; `null` removes a field.
pub(crate) fn item_with(id: &str, changes: Value) -> Value {
    let mut item = item(id);
    for (name, value) in changes.as_object().expect("an object") {
        let map = item.as_object_mut().expect("an object");
        if value.is_null() {
            drop(map.remove(name));
        } else {
            drop(map.insert(name.clone(), value.clone()));
        }
    }
    item
}

pub(crate) fn update(data: Value) -> Value {
    json!({"method": "UPDATE", "data": data})
}

pub(crate) fn delete(id: &str) -> Value {
    json!({"method": "DELETE", "data": {"id": id}})
}
