//! Why a variant is, or is not, at Meta as it is.

use mapper_core::{Explanation, FieldSources, Rule};
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminError;
use super::item_detail::{self, ItemDetail, Next, WarningView};
use crate::app::App;
use crate::domain::plan::EXCLUDED;
use crate::store::source;

/// Why a variant is, or is not, at Meta as it is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemExplanation {
    /// The active mapper. Rules and fields are those of the built-in one, which modules build on.
    pub mapper: ActiveMapper,
    /// Every rule of eligibility, in the order in which they are asked. The first that fails rejects the variant.
    pub rules: Vec<RuleView>,
    /// The fields that have several sources, with the one that won; empty when a rule fails.
    pub fields: Vec<FieldView>,
    /// What Meta or a shopper may mind.
    pub warnings: Vec<WarningView>,
    /// Fields that Meta may still hold and that the next push empties.
    pub clears: Vec<String>,
    /// What the drain would do with the variant now.
    pub next: Next,
    /// What became of the last submission; null when there was none.
    pub last_submission: Option<LastSubmission>,
    /// Why there is no word from the mapper; null when there is one.
    pub mapper_error: Option<String>,
}

/// The active mapper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveMapper {
    /// Its name.
    pub name: String,
    /// Whether it is the built-in one.
    pub is_builtin: bool,
}

/// A rule of eligibility.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleView {
    /// The reason of the rejection when it fails.
    pub rule: String,
    /// Whether the variant passes it.
    pub passed: bool,
    /// The value that it looks at; null when there is none.
    pub saw: Option<String>,
}

/// Where the value of a field comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldView {
    /// The field at Meta.
    pub field: String,
    /// The sources, first choice first.
    pub sources: Vec<SourceView>,
}

/// One source of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SourceView {
    /// Its name, as in an import line or as a setting.
    pub source: String,
    /// What it would make of the field; null when it has nothing to say.
    pub value: Option<String>,
    /// Whether the payload has this value from here.
    pub won: bool,
}

/// What became of the last submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastSubmission {
    /// Its handle.
    pub handle: Option<String>,
    /// When it was made, ISO 8601.
    pub pushed_at: Option<String>,
    /// The sync state since.
    #[schema(schema_with = super::schema::sync_status)]
    pub status: String,
    /// Why it failed.
    pub error: Option<String>,
}

/// Explains one variant.
///
/// # Errors
/// [`AdminError::NotFound`] when the variant is not in the source; otherwise when the database query fails.
pub async fn explain(app: &App, variant_id: &str) -> Result<ItemExplanation, AdminError> {
    let detail = item_detail::detail(app, variant_id).await?;
    explain_with(app, variant_id, &detail).await
}

/// [`explain`] with a detail that is loaded already.
///
/// # Errors
/// When the database query fails.
pub async fn explain_with(app: &App, variant_id: &str, detail: &ItemDetail) -> Result<ItemExplanation, AdminError> {
    let detail = detail.clone();
    let settings = app.load_settings().await?.mapper.with(&app.config.s3_public_url);
    let mut tx = app.db.read().await?;
    let batch = source::load(&mut tx, &[variant_id]).await?;
    drop(tx);
    let told = batch.items.first().map(|item| {
        let product = &batch.products[usize::try_from(item.product_index).unwrap_or_default()];
        mapper_core::explain(&settings, app.now(), product, &item.variant)
    });
    let Explanation { rules, fields } = told.unwrap_or(Explanation { rules: Vec::new(), fields: Vec::new() });
    // An exclusion counts before whatever the mapper says.
    let is_excluded = detail.sync_state.as_ref().is_some_and(|state| state.excluded);
    let excluded = RuleView { rule: EXCLUDED.to_owned(), passed: !is_excluded, saw: None };
    let rules = rules.into_iter().map(|Rule { rule, passed, saw }| RuleView { rule: rule.to_owned(), passed, saw });
    let rules = [excluded].into_iter().chain(rules).collect();
    let mapper = app.active.current();
    Ok(ItemExplanation {
        mapper: ActiveMapper { name: mapper.name().to_owned(), is_builtin: mapper.is_builtin() },
        rules,
        fields: fields.into_iter().map(Into::into).collect(),
        warnings: detail.warnings,
        clears: detail.clears,
        next: detail.next,
        last_submission: detail.sync_state.filter(|state| state.last_pushed_at.is_some()).map(|state| LastSubmission {
            handle: state.last_handle,
            pushed_at: state.last_pushed_at,
            status: state.status,
            error: state.last_error,
        }),
        mapper_error: detail.mapper_error,
    })
}

impl From<FieldSources> for FieldView {
    fn from(FieldSources { field, sources }: FieldSources) -> Self {
        let sources = sources.into_iter();
        let sources = sources.map(|told| SourceView { source: told.source, value: told.value, won: told.won });
        Self { field: field.to_owned(), sources: sources.collect() }
    }
}
