//! `/items.csv`: everything that the filter shows, as a file.
//!
//! Promises: it is written while it is read, so its size needs no memory; no cell is a formula for a spreadsheet.

use axum::body::{Body, Bytes};
use axum::extract::{Query as FromQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::try_unfold;
use tracing::warn;

use super::query::Query;
use crate::http::Api;
use crate::http::auth::View;
use crate::http::error::ApiError;
use catalog_sync::admin::items::ItemSummary;
use catalog_sync::admin::walk::Reader;
use catalog_sync::report::chain;

const HEAD: &str = "variant_id,product_id,title,sku,price,state,last_sent_at,reason,error,warnings,excluded,gone\r\n";

/// `GET /items.csv`.
pub(super) async fn download(
    _: View,
    State(api): State<Api>,
    FromQuery(query): FromQuery<Query>,
) -> Result<Response, ApiError> {
    let selected = query.resolved().selected().map_err(ApiError::validation)?;
    let reader = Reader::begin(&api.app, selected.asked()).await?;
    let head = Some(Bytes::from_static(HEAD.as_bytes()));
    let lines = try_unfold((head, reader, api), async |(head, reader, api): Rest| match head {
        Some(head) => Ok(Some((head, (None, reader, api)))),
        None => next(reader, api).await,
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"items.csv\"")),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

/// What is left of the file: its first line, and then the rows.
type Rest = (Option<Bytes>, Reader, Api);

async fn next(mut reader: Reader, api: Api) -> Result<Option<(Bytes, Rest)>, std::io::Error> {
    match reader.next(&api.app).await {
        Ok(Some(rows)) => Ok(Some((Bytes::from(rows.iter().map(line).collect::<String>()), (None, reader, api)))),
        Ok(None) => Ok(None),
        Err(error) => {
            // The file ends in the middle, which the browser tells.
            warn!(cause = chain(&error), "a file of items was cut off");
            Err(std::io::Error::other("the database query failed"))
        }
    }
}

fn line(item: &ItemSummary) -> String {
    let flag = |is_set: bool| if is_set { "yes" } else { "no" };
    let price = item.price.map(|price| {
        let (sign, subunits) = (if price < 0 { "-" } else { "" }, price.unsigned_abs());
        format!("{sign}{}.{:02}", subunits / 100, subunits % 100)
    });
    let cells = [
        cell(&item.variant_id),
        cell(&item.product_id),
        cell(&item.product_title),
        cell(item.sku.as_deref().unwrap_or_default()),
        // A number of ours is no formula.
        price.unwrap_or_default(),
        cell(&item.sync_status),
        cell(item.last_pushed_at.as_deref().unwrap_or_default()),
        cell(item.cause.as_deref().unwrap_or_default()),
        cell(item.last_error.as_deref().unwrap_or_default()),
        cell(&item.warnings.join(" ")),
        flag(item.excluded).to_owned(),
        flag(item.deleted).to_owned(),
    ];
    format!("{}\r\n", cells.join(","))
}

/// Writes text as a cell. What a spreadsheet would take for a formula gets an apostrophe in front.
fn cell(text: &str) -> String {
    let is_formula =
        text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) || text.starts_with(['\t', '\r']);
    let guard = if is_formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, written) in [
            ("plain", "\"plain\""),
            ("a \"b\", c", "\"a \"\"b\"\", c\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(1)", "\"'@SUM(1)\""),
            ("\t=1", "\"'\t=1\""),
            (" =1", "\"' =1\""),
            ("＝1", "\"'＝1\""),
            ("two\nlines", "\"two\nlines\""),
            ("", "\"\""),
        ] {
            assert_eq!(cell(text), written);
        }
    }
}
