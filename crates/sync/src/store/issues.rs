//! What is wrong, grouped: causes of failed and skipped variants, and warnings about payloads.
//!
//! Each group is counted over its own index, so a million variants cost milliseconds to a few hundred of them.

use super::{Result, Tx, fetch_all, list};

/// Variants with the same cause, or with the same set of warnings.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Group {
    /// The cause, or the codes of the warnings, separated by commas.
    pub word: String,
    /// How many variants.
    pub count: i64,
    /// When the first of them came to it.
    pub first_at: i64,
    /// When the last of them came to it.
    pub last_at: i64,
    /// One of them.
    pub example: String,
}

/// Everything that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The causes, the most frequent first.
    pub causes: Vec<Group>,
    /// The sets of warnings, and of findings of the lint pass, the most frequent first.
    pub warnings: Vec<Group>,
}

/// Groups everything that is wrong. At a million variants this takes hundreds of milliseconds.
///
/// # Errors
/// When the database query fails.
pub async fn find(tx: &mut Tx) -> Result<Found> {
    Ok(Found { causes: causes(tx).await?, warnings: warnings(tx).await? })
}

/// Returns the causes, the most frequent first.
///
/// # Errors
/// When the database query fails.
pub async fn causes(tx: &mut Tx) -> Result<Vec<Group>> {
    fetch_all!(
        tx,
        Group,
        "SELECT cause AS word, COUNT(*) AS count, COALESCE(MIN(issue_at), MIN(updated_at)) AS first_at,
             COALESCE(MAX(issue_at), MAX(updated_at)) AS last_at,
             MIN(variant_id) AS example
         FROM meta_sync_state WHERE cause IS NOT NULL GROUP BY cause ORDER BY count DESC, word LIMIT 1000"
    )
}

/// Returns the sets of warnings, and of findings of the lint pass, the most frequent first.
///
/// # Errors
/// When the database query fails.
pub async fn warnings(tx: &mut Tx) -> Result<Vec<Group>> {
    fetch_all!(
        tx,
        Group,
        "SELECT warnings AS word, COUNT(*) AS count, COALESCE(MIN(issue_at), MIN(updated_at)) AS first_at,
             COALESCE(MAX(issue_at), MAX(updated_at)) AS last_at,
             MIN(variant_id) AS example
         FROM meta_sync_state WHERE warnings IS NOT NULL GROUP BY warnings
         UNION ALL
         SELECT lint, COUNT(*), COALESCE(MIN(issue_at), MIN(updated_at)), COALESCE(MAX(issue_at), MAX(updated_at)),
             MIN(variant_id)
         FROM meta_sync_state WHERE lint IS NOT NULL GROUP BY lint
         ORDER BY count DESC, word LIMIT 10000"
    )
}

/// What is told of the example of a group.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Told {
    /// The variant.
    pub variant_id: String,
    /// The title of its product. `None` when the shop knows the variant no longer.
    pub title: Option<String>,
    /// Its last error.
    pub last_error: Option<String>,
}

/// Returns the titles and last errors of these variants.
///
/// # Errors
/// When the database query fails.
pub async fn told(tx: &mut Tx, variants: &[&str]) -> Result<Vec<Told>> {
    // A join would make SQLite read the whole view first.
    fetch_all!(
        tx,
        Told,
        "SELECT s.variant_id, (SELECT i.title FROM variant_index i WHERE i.variant_id = s.variant_id LIMIT 1) AS title,
             s.last_error
         FROM meta_sync_state s
         WHERE s.variant_id IN (SELECT id FROM @ids($1) AS wanted)",
        list::ids(variants)
    )
}
