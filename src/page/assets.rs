//! The files that the pages load: style, scripts, icons. They are in the binary.
//!
//! Promises: a file's address contains the hash of its content, so a browser keeps it for ever and asks for the next
//! version's file when the page names it.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

use crate::http::Api;

/// htmx 4.0.1, unchanged: `dist/htmx.min.js` of its package; its licence (0BSD) lies beside it.
const HTMX: &str = include_str!("assets/htmx.min.js");

/// A file with its address.
#[derive(Debug)]
pub struct Asset {
    /// The path, with the hash of the content.
    pub path: String,
    kind: &'static str,
    content: &'static str,
}

impl Asset {
    fn new(name: &str, kind: &'static str, content: &'static str) -> Self {
        let hash = hex(&Sha256::digest(content.as_bytes())[..8]);
        Self { path: format!("/assets/{hash}/{name}"), kind, content }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every file.
#[derive(Debug)]
pub struct Assets {
    /// The style sheet.
    pub style: Asset,
    /// Our own script.
    pub app: Asset,
    /// htmx.
    pub htmx: Asset,
    /// The icons, one SVG symbol each.
    pub icons: Asset,
    /// The icon of the site.
    pub favicon: Asset,
}

/// The files, hashed once.
pub static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::new("style.css", "text/css; charset=utf-8", include_str!("assets/style.css")),
    app: Asset::new("app.js", "text/javascript; charset=utf-8", include_str!("assets/app.js")),
    htmx: Asset::new("htmx.js", "text/javascript; charset=utf-8", HTMX),
    icons: Asset::new("icons.svg", "image/svg+xml", include_str!("assets/icons.svg")),
    favicon: Asset::new("favicon.svg", "image/svg+xml", include_str!("assets/favicon.svg")),
});

/// The files' routes. They need no permission: nothing in them is private.
pub fn routes() -> Router<Api> {
    let Assets { style, app, htmx, icons, favicon } = &*ASSETS;
    [style, app, htmx, icons, favicon].into_iter().fold(Router::new(), |router, asset| {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
            (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        ];
        let content = Bytes::from_static(asset.content.as_bytes());
        router.route(&asset.path, get(move || async move { (headers, content) }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest is that of the file in the package; another file is another version, or not htmx.
    #[test]
    fn htmx_is_the_published_file() {
        let digest = hex(&Sha256::digest(HTMX.as_bytes()));
        assert_eq!(digest, "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130");
    }

    /// What a browser loads on a first visit besides the page has to stay small: compressed, htmx is a third of this.
    #[test]
    fn the_style_sheet_and_the_script_stay_small() {
        let Assets { style, app, icons, .. } = &*ASSETS;
        for (asset, most) in [(style, 24_000), (app, 12_000), (icons, 12_000)] {
            assert!(asset.content.len() < most, "{} has {} bytes", asset.path, asset.content.len());
        }
    }
}
