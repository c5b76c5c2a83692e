//! A look ahead: how many variants would be sent, and why others would not, before anything is sent.
//!
//! Promises: no call is made and nothing is written; a look takes about as long as it is allowed to, whatever the shop has,
//! and says of how many variants it speaks; however many people look, it takes a hundredth of the time, or one look each half minute.
//! Left out on purpose: the comparison of two mappers ([`super::preview`]).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::AdminError;
use super::dry_run::{Found, Judge, What};
use crate::app::App;
use crate::runtime::cached::Cached;
use crate::store::{source, variants};

/// Variants that are mapped at once. A look ends between two of these.
const CHUNK: usize = 500;

/// What the active mapper makes of the shop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// Variants that were looked at: the first ones by id.
    pub looked_at: u64,
    /// Whether they are all.
    pub is_all: bool,
    /// Variants that would be sent.
    pub sent: u64,
    /// How many of them Meta would refuse at most: a variant counts for each field that it lacks.
    pub refused: u64,
    /// Variants that the shop or the mapper keeps out.
    pub kept_out: u64,
    /// What was found, the worst first, then the most frequent.
    pub found: Vec<Found>,
}

impl Forecast {
    fn of(looked_at: u64, is_all: bool, found: Vec<Found>) -> Self {
        let sum =
            |those: &[What]| found.iter().filter(|found| those.contains(&found.what)).map(|found| found.count).sum();
        let kept_out: u64 = sum(&[What::Fails, What::Skipped]);
        let sent = looked_at.saturating_sub(kept_out);
        Self { looked_at, is_all, sent, refused: sum(&[What::Refused]).min(sent), kept_out, found }
    }
}

/// Maps the first variants by id with the active mapper and the current settings, for about this long.
///
/// # Errors
/// When the database query fails, or the active module cannot run here.
pub async fn look(app: &App, within: Duration) -> Result<Forecast, AdminError> {
    let mut judge = Judge::new(app).await?;
    let began = Instant::now();
    let mut after = String::new();
    let is_all = loop {
        let mut tx = app.db.read().await?;
        let ids = variants::page(&mut tx, &after, CHUNK).await?;
        let Some(last) = ids.last() else { break true };
        after.clone_from(last);
        let wanted: Vec<&str> = ids.iter().map(String::as_str).collect();
        let batch = source::load(&mut tx, &wanted).await?;
        drop(tx);
        judge.judge(batch).await;
        if ids.len() < CHUNK {
            break true;
        }
        if began.elapsed() >= within {
            break false;
        }
    };
    let (looked_at, found) = judge.into_found();
    Ok(Forecast::of(looked_at, is_all, found))
}

/// The latest look, kept while it is dear to look again. A changed setting and another mapper are looked at anew.
#[derive(Debug, Default)]
pub struct Forecasts(Mutex<(Under, Arc<Cached<Arc<Forecast>>>)>);

/// What a look depends on beside the shop: the version of the settings, and the digest of the mapper.
type Under = (i64, Arc<str>);

impl Forecasts {
    /// Returns the latest look, or looks.
    ///
    /// # Errors
    /// As [`look`].
    pub async fn get(&self, app: &App, within: Duration) -> Result<Arc<Forecast>, AdminError> {
        let under = (app.load_settings().await?.version, Arc::clone(app.active.current().digest()));
        let cached = {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.0 != under {
                *kept = (under, Arc::default());
            }
            Arc::clone(&kept.1)
        };
        let compute = async {
            let began = Instant::now();
            let forecast = look(app, within).await?;
            Ok((Arc::new(forecast), began.elapsed()))
        };
        cached.get(compute).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_out_is_sent() {
        let found = |(what, count)| Found {
            what,
            code: "c".into(),
            count,
            example: "v".into(),
            example_title: String::new(),
            advice: "",
        };
        let all = [(What::Fails, 1), (What::Refused, 2), (What::Skipped, 3), (What::Warned, 6)];
        let forecast = Forecast::of(10, true, all.map(found).into());
        assert_eq!((forecast.sent, forecast.refused, forecast.kept_out), (6, 2, 4));
    }
}
