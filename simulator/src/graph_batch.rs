//! `POST /`: several Graph calls in one request. Different from a catalog's `items_batch`.

use serde_json::{Value, json};

use crate::errors::{GraphError, Result};
use crate::graph::{Answer, Request, Turn, carry_out};
use crate::params::Params;
use crate::world::World;

/// `POST /` with `batch=[…]`: up to 50 calls in one; each counts as a separate call for the buckets.
pub(crate) fn run(world: &mut World, request: &Request, params: &mut Params) -> Result<Value> {
    let parts = match params.take_json("batch")? {
        Some(Value::Array(parts)) => parts,
        Some(_) => {
            return Err(GraphError::parameter("batch", "(#100) Param batch must be an array."));
        }
        None => return Err(GraphError::unsupported("POST", "")),
    };
    if parts.len() > 50 {
        return Err(GraphError::parameter(
            "batch",
            "(#100) Too many requests in batch message. Maximum batch size is 50",
        ));
    }
    let mut answers = Vec::with_capacity(parts.len());
    for part in &parts {
        let text = |name| part.get(name).and_then(Value::as_str).unwrap_or_default();
        let (path, query) = text("relative_url").split_once('?').unwrap_or((text("relative_url"), ""));
        let call = Request::new(text("method"), path, query, request.bearer.clone(), request.host.clone());
        let mut own = Params::from_query(&[query, text("body")].join("&"));
        for name in ["access_token", "appsecret_proof", "appsecret_time"] {
            if let Some(value) = params.text(name).filter(|_| !own.has(name)) {
                own.insert(name, value);
            }
        }
        let mut turn = Turn::default();
        let outcome = if call.call() == "batch" {
            Err(GraphError::new(100, "(#100) A batch cannot hold a batch"))
        } else {
            world.calls.count(&call.method, call.call());
            carry_out(world, &call, &mut own, &[], &mut turn)
        };
        let (code, body) = match outcome {
            Ok(Answer::Json(body)) => (200, body.to_string()),
            Ok(Answer::Browser(_)) => (400, json!({"error": {"message": "no call of a batch"}}).to_string()),
            Err(error) => {
                let trace = world.ids.opaque("A", 23);
                let body = error.body(&trace, world.config.switches.error_data_as_string);
                (error.status.as_u16(), body.to_string())
            }
        };
        let headers: Vec<Value> =
            turn.headers.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        answers.push(json!({"code": code, "headers": headers, "body": body}));
    }
    Ok(answers.into())
}
