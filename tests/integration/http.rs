//! The HTTP API, against the real service and the local Meta.

mod api_checks;
mod audit;
mod away;
mod better_auth;
mod browser;
mod connect;
mod cross_origin;
mod envelope;
mod flow;
mod fuzz;
mod hostile;
mod import;
pub(crate) mod installation;
mod intake;
mod items;
mod logins;
mod mapper;
mod openapi;
mod openapi_client;
mod operations;
mod permissions;
mod secrets;
mod select;
mod sessions;
mod settings;
mod slow_clients;
mod webhooks;
