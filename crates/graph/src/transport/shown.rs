//! What people may see of an answer of any call, for tests and fuzzing.

use reqwest::StatusCode;
use serde::de::DeserializeOwned;

use super::{RawAnswer, interpret};
use crate::businesses::BusinessNode;
use crate::catalogs::Catalog;
use crate::oauth::{DebugAnswer, Identity, TokenAnswer, TokenGrant, TokenInfo};
use crate::paging::Page;
use crate::products::LiveItem;
use crate::system_users::{Created, Done, SystemUser};
use crate::{batch_status, items_batch};

pub(super) fn raw(status: u16, body: &[u8]) -> RawAnswer {
    let mut redactor = crate::redact::Redactor::default();
    redactor.hide("EAABtokenofthecaller");
    RawAnswer {
        edge: "items_batch",
        status: StatusCode::from_u16(status).expect("a status"),
        content_type: "application/json".to_owned(),
        body: body.to_vec(),
        redactor,
    }
}

/// Reads the body as the answer of each call, and returns what people may see of it.
pub fn shown(status: u16, body: &[u8]) -> Vec<String> {
    fn one<T: DeserializeOwned>(raw: &RawAnswer, show: impl FnOnce(T) -> String) -> String {
        match interpret::<T>(raw) {
            Ok(value) => show(value),
            Err(failure) => {
                let failure = raw.redact(failure);
                let judged = (failure.class(), failure.outcome_unknown(), failure.unusable_answer());
                format!("{failure:?} {judged:?} {:?} {}", failure.error(), failure.operator_hint())
            }
        }
    }
    let raw = raw(status, body);
    vec![
        one(&raw, |answer: items_batch::WireAnswer| format!("{:?} {:?}", answer.handles(), answer.validation_status)),
        one(&raw, |answer: batch_status::WireAnswer| format!("{:?}", answer.status_of("AcH"))),
        one(&raw, |page: Page<BusinessNode>| format!("{:?} {}", page.next(), page.into_data().len())),
        one(&raw, |page: Page<Catalog>| format!("{:?} {:?}", page.next(), page.into_data())),
        one(&raw, |page: Page<SystemUser>| format!("{:?} {:?}", page.next(), page.into_data())),
        one(&raw, |page: Page<LiveItem>| format!("{:?} {:?}", page.next(), page.into_data())),
        one(&raw, |catalog: Catalog| format!("{catalog:?}")),
        one(&raw, |me: Identity| format!("{me:?}")),
        one(&raw, |created: Created| format!("{:?}", created.id)),
        one(&raw, |_: Done| String::new()),
        one(&raw, |answer: DebugAnswer| format!("{:?}", TokenInfo::from(answer))),
        one(&raw, |answer: TokenAnswer| format!("{:?}", TokenGrant::from(answer))),
    ]
}

/// `Debug` escapes whatever a terminal or a database would act on. Quotes and backslashes are harmless.
pub fn harmless(shown: &str) -> bool {
    let bare = shown.replace("\\\\", "").replace("\\\"", "").replace("\\'", "");
    // Marks that combine with the character before them, and unassigned characters, are escaped too, but harmless.
    let controls = (0..0x20).chain(0x7f..0xa0).chain([0x2028, 0x2029]).chain(0x202a..0x202f).chain(0x2066..0x206a);
    let escaped = |code: u32| bare.contains(&format!("\\u{{{code:x}}}"));
    !["\\0", "\\n", "\\r", "\\t"].iter().any(|escape| bare.contains(escape))
        && !controls.into_iter().any(escaped)
        && !bare.contains(char::is_control)
}
