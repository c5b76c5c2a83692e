//! The HTTP API.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::actors::vitals::VitalsBoard;
use crate::config::Config;
use crate::pipeline::Pipeline;

/// What every handler reaches.
#[derive(Clone, Debug)]
pub struct App {
    /// What the actors share.
    pub pipeline: Arc<Pipeline>,
    /// How the actors are doing.
    pub board: VitalsBoard,
}

impl App {
    /// Puts it together.
    #[must_use]
    pub fn new(pipeline: Arc<Pipeline>, board: VitalsBoard, _config: &Config, _address: SocketAddr) -> Self {
        Self { pipeline, board }
    }
}

/// Every route.
pub fn router(_app: App) -> axum::Router {
    axum::Router::new()
}
