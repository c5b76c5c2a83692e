//! What is typed into the search: free text and words such as `state:failed` or `brand:"North Mill"`. Pure.

use catalog_sync::admin::items::NEVER_SYNCED;
use catalog_sync::domain::state::SyncStatus;

/// The words, each with what it takes.
pub(super) const WORDS: [(&str, &str); 8] = [
    ("id", "a variant's id, whole"),
    ("state", "synced, submitted, pending, failed, skipped, deleted or never_synced"),
    ("reason", "why it failed or is not eligible, such as missing_price"),
    ("warning", "the code of a warning"),
    ("vendor", "a vendor's name or id"),
    ("brand", "a brand's title or id"),
    ("category", "a category's title or id, with those below it"),
    ("is", "held, parked, excluded or eligible"),
];

/// What was typed, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) text: String,
    pub(super) id: Option<String>,
    pub(super) state: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) warning: Option<String>,
    pub(super) vendor: Option<String>,
    pub(super) brand: Option<String>,
    pub(super) category: Option<String>,
    pub(super) held: bool,
    pub(super) parked: bool,
    pub(super) excluded: bool,
    pub(super) eligible: bool,
}

/// Takes a search apart, or says what is wrong with it.
pub(super) fn parse(search: &str) -> Result<Typed, String> {
    let mut typed = Typed::default();
    let mut texts: Vec<String> = Vec::new();
    for (token, is_quoted) in tokens(search) {
        let word = token.split_once(':').filter(|(word, value)| {
            let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic());
            !is_quoted && is_word && !value.starts_with("//")
        });
        let Some((word, value)) = word else {
            texts.push(token);
            continue;
        };
        let word = word.to_ascii_lowercase();
        if !WORDS.iter().any(|(known, _)| *known == word) {
            let known = WORDS.map(|(known, _)| format!("{known}:")).join(" ");
            return Err(format!(
                "“{word}:” is no word of the search. The words are {known}. To search for a text with a colon, put it in quotes."
            ));
        }
        if value.is_empty() {
            return Err(format!("“{word}:” needs a value, such as {}.", example(&word)));
        }
        set(&mut typed, &word, value)?;
    }
    typed.text = texts.join(" ");
    Ok(typed)
}

fn set(typed: &mut Typed, word: &str, value: &str) -> Result<(), String> {
    let place = match word {
        "is" => {
            let flag = match &*value.to_ascii_lowercase() {
                "held" => &mut typed.held,
                "parked" => &mut typed.parked,
                "excluded" => &mut typed.excluded,
                "eligible" => &mut typed.eligible,
                _ => return Err("“is:” takes held, parked, excluded or eligible.".into()),
            };
            *flag = true;
            return Ok(());
        }
        "state" => {
            let state = state_of(value).ok_or_else(|| format!("“state:” takes {}.", WORDS[1].1))?;
            return once(&mut typed.state, word, state);
        }
        "reason" => return once(&mut typed.reason, word, cause_of(value)),
        "id" => &mut typed.id,
        "warning" => &mut typed.warning,
        "vendor" => &mut typed.vendor,
        "brand" => &mut typed.brand,
        _ => &mut typed.category,
    };
    once(place, word, value.to_owned())
}

fn once(place: &mut Option<String>, word: &str, value: String) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("“{word}:” can be given once.")),
    }
}

/// A state by its word, or by what the page calls it.
fn state_of(value: &str) -> Option<String> {
    let value = value.to_ascii_lowercase().replace([' ', '-'], "_");
    let known = SyncStatus::ALL.map(SyncStatus::as_str).into_iter().chain([NEVER_SYNCED]).find(|word| *word == value);
    let called = || match &*value {
        "in_step" => Some("synced"),
        "in_flight" => Some("submitted"),
        "refused" => Some("failed"),
        "not_eligible" => Some("skipped"),
        _ => None,
    };
    known.or_else(called).map(str::to_owned)
}

/// A cause; a code alone is one of eligibility.
pub(super) fn cause_of(value: &str) -> String {
    let has_source = ["meta:", "mapper:", "eligibility:", "service:"].iter().any(|source| value.starts_with(source));
    if has_source { value.to_owned() } else { format!("eligibility:{value}") }
}

fn example(word: &str) -> &'static str {
    match word {
        "id" => "id:V-1",
        "state" => "state:failed",
        "reason" => "reason:missing_price",
        "warning" => "warning:missing_brand",
        "vendor" => "vendor:\"North Mill\"",
        "brand" => "brand:Acme",
        "category" => "category:Shirts",
        _ => "is:held",
    }
}

/// Splits at blanks outside quotes. A token that begins with a quote is text as it stands.
fn tokens(search: &str) -> Vec<(String, bool)> {
    let mut tokens = Vec::new();
    let (mut token, mut in_quotes, mut is_quoted) = (String::new(), false, false);
    for c in search.chars() {
        match c {
            '"' => {
                is_quoted |= token.is_empty() && !in_quotes;
                in_quotes = !in_quotes;
            }
            c if c.is_whitespace() && !in_quotes => {
                if !token.is_empty() {
                    tokens.push((std::mem::take(&mut token), is_quoted));
                }
                is_quoted = false;
            }
            c => token.push(c),
        }
    }
    if !token.is_empty() {
        tokens.push((token, is_quoted));
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_text_are_told_apart() {
        let some = |text: &str| Some(text.to_owned());
        for (search, expected) in [
            ("", Typed::default()),
            ("  linen   shirt ", Typed { text: "linen shirt".into(), ..Typed::default() }),
            ("state:Failed red", Typed { state: some("failed"), text: "red".into(), ..Typed::default() }),
            ("state:refused", Typed { state: some("failed"), ..Typed::default() }),
            ("reason:missing_price", Typed { reason: some("eligibility:missing_price"), ..Typed::default() }),
            ("reason:\"meta:image is missing\"", Typed { reason: some("meta:image is missing"), ..Typed::default() }),
            (
                "brand:\"North Mill\" vendor:x is:held is:eligible",
                Typed { brand: some("North Mill"), vendor: some("x"), held: true, eligible: true, ..Typed::default() },
            ),
            ("\"size: 4\"", Typed { text: "size: 4".into(), ..Typed::default() }),
            ("https://x.example 10:30", Typed { text: "https://x.example 10:30".into(), ..Typed::default() }),
            ("id:gid://shop/1", Typed { id: some("gid://shop/1"), ..Typed::default() }),
            ("\"open", Typed { text: "open".into(), ..Typed::default() }),
        ] {
            assert_eq!(parse(search), Ok(expected), "{search}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (search, part) in [
            ("color:red", "“color:” is no word"),
            ("state:lost", "“state:” takes synced"),
            ("is:lost", "“is:” takes held"),
            ("brand:", "such as brand:Acme"),
            ("brand:a brand:b", "can be given once"),
            ("drift:x", "in quotes"),
        ] {
            let said = parse(search).expect_err("refused");
            assert!(said.contains(part), "{search}: {said}");
        }
    }
}
