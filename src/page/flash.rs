//! What an action says on the page that follows it: a code and a number in the address, never text from outside.

use super::words::{counted, number};

/// Returns the sentence of a code, or `None` for an unknown one.
#[must_use]
pub fn said(code: &str, n: Option<u64>) -> Option<String> {
    let n = n.unwrap_or_default();
    let items = || counted(n, "item", "items");
    Some(match code {
        "signed-in" => "You are signed in.".into(),
        "connected" => "Facebook is connected. Choose the catalog now.".into(),
        "disconnected" => "Facebook is disconnected. Nothing is sent until you connect again.".into(),
        "catalog" => "The catalog is selected.".into(),
        "saved" => match n {
            0 => "Nothing was changed.".into(),
            _ => format!("{} saved.", counted(n, "setting is", "settings are")),
        },
        "paused" => "The sync is paused. Changes are queued and nothing is sent.".into(),
        "resumed" => "The sync is switched on.".into(),
        "resync" => format!("{} queued to be decided again.", items()),
        "push" => format!("{} queued to be sent again.", items()),
        "delete" => format!("{} queued for removal from Meta.", items()),
        "exclude" => format!("{} excluded; what is at Meta is removed.", items()),
        "include" => format!("{} included again.", items()),
        "released" => format!("{} released.", counted(n, "held delete is", "held deletes are")),
        "bootstrap" => format!("Everything eligible is being queued: {}.", items()),
        "remap" => "Every variant is being mapped again.".into(),
        "activated" => match n {
            0 => "The mapper is active.".into(),
            _ => format!("The mapper is active. {} that failed before are tried again.", number(n)),
        },
        "unchanged" => "This mapper was active already.".into(),
        "asked" => format!("Meta is asked for {} now.", counted(n, "verdict", "verdicts")),
        "sweep" => "The sweep has begun. Its findings appear here while it goes on.".into(),
        "sweeping" => "A sweep is under way already.".into(),
        "drift-repair" => {
            format!("{} to be sent again, within the budget of the hour.", counted(n, "finding is", "findings are"))
        }
        "drift-ignore" => format!("{} ignored.", counted(n, "finding is", "findings are")),
        "drift-heed" => format!("{} no longer ignored.", counted(n, "finding is", "findings are")),
        "cancelled" => "The preview was cancelled.".into(),
        _ => return None,
    })
}

/// Returns an address without the message of an earlier action, so that a refresh does not repeat it.
#[must_use]
pub fn without(address: &str) -> String {
    let Some((path, query)) = address.split_once('?') else { return address.to_owned() };
    let is_kept = |pair: &&str| !matches!(pair.split('=').next(), Some("done" | "n"));
    let kept: Vec<&str> = query.split('&').filter(is_kept).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

/// Returns an address with the message of an action.
#[must_use]
pub fn with(address: &str, code: &str, n: u64) -> String {
    let address = without(address);
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}done={code}&n={n}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_added_once_and_taken_away() {
        assert_eq!(with("/items?status=failed", "resync", 3), "/items?status=failed&done=resync&n=3");
        assert_eq!(with("/items?done=push&n=1", "resync", 3), "/items?done=resync&n=3");
        assert_eq!(without("/items?done=push&n=1"), "/items");
        assert_eq!(without("/items?nn=1"), "/items?nn=1");
        assert_eq!(said("resync", Some(1)).as_deref(), Some("1 item queued to be decided again."));
        assert_eq!(said("<script>", None), None);
    }
}
