//! The list of variants from cursor to cursor: a page costs the same wherever it is.
//!
//! Promises: a cursor says where a page begins and for which order; one of another order is refused. What changes between
//! two pages moves only its own row.
//! Left out on purpose: numbers, which [`super::items::list`] has.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::AdminError;
use super::items::{ItemSummary, ItemsAsked, filter, read};
use crate::app::App;
use crate::store::items::Filter;
use crate::store::items::walk::{self, From, Known, Order, Position, Step};

/// The cursor of the first page.
pub const START: &str = "start";
/// The longest cursor, in bytes.
const LONGEST: usize = 2_000;

/// A page of a walk.
#[derive(Clone, Debug)]
pub struct Walked {
    /// The rows of the page.
    pub rows: Vec<ItemSummary>,
    /// Most rows of the page.
    pub limit: u64,
    /// The cursor for `after` that gives the next page. With fewer rows than the limit, the walk looked at as many variants as
    /// one page may, and goes on there.
    pub next: Option<String>,
    /// The cursor for `before` that gives the page before.
    pub previous: Option<String>,
}

/// Walks to the page behind the cursor `after`, or in front of `before`; without any, to the first one.
///
/// # Errors
/// [`AdminError::Invalid`] names each part that is not valid.
pub async fn page(
    app: &App,
    asked: ItemsAsked<'_>,
    after: Option<&str>,
    before: Option<&str>,
) -> Result<Walked, AdminError> {
    let (_, page) = read(asked)?;
    let filter = filter(app, asked).await?;
    let place = place(filter.order(), after, before)?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let known = Known::from(&app.totals().await?);
    let mut tx = app.db.read().await?;
    let from = match &place {
        Place::Start => From::Start,
        Place::After(position) => From::After(position),
        Place::Before(position) => From::Before(position),
    };
    let step = walk::walk(&mut tx, &filter, from, limit, known).await?;
    let (place, step) = match place {
        // Back at the beginning: the first page, whole.
        Place::Before(_) if step.more.is_none() => {
            (Place::Start, walk::walk(&mut tx, &filter, From::Start, limit, known).await?)
        }
        place => (place, step),
    };
    let rows = walk::rows(&mut tx, &step.found).await?;
    let (next, previous) = cursors(filter.order(), &place, &step);
    Ok(Walked { rows: rows.into_iter().map(Into::into).collect(), limit: page.limit, next, previous })
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Start,
    After(Position),
    Before(Position),
}

fn place(order: Order, after: Option<&str>, before: Option<&str>) -> Result<Place, AdminError> {
    let given = |cursor: Option<&str>| cursor.filter(|cursor| !cursor.is_empty()).map(str::to_owned);
    let wrong = |name: &str| {
        let what = format!("takes a cursor of this filter; begin again with after={START}");
        let details = BTreeMap::from_iter([(name.to_owned(), what)]);
        AdminError::invalid_parts("the cursor is not valid", details)
    };
    match (given(after), given(before)) {
        (None, None) => Ok(Place::Start),
        (Some(after), None) if after == START => Ok(Place::Start),
        (Some(after), None) => decoded(order, &after).map(Place::After).ok_or_else(|| wrong("after")),
        (None, Some(before)) => decoded(order, &before).map(Place::Before).ok_or_else(|| wrong("before")),
        (Some(_), Some(_)) => Err(wrong("before")),
    }
}

/// Returns the cursors of the next page and of the one before.
fn cursors(order: Order, place: &Place, step: &Step) -> (Option<String>, Option<String>) {
    let encoded = |position: Option<&Position>| position.map(|position| encoded(order, position));
    let (first, last) = (step.found.first(), step.found.last());
    match place {
        Place::Start => (encoded(step.more.as_ref()), None),
        Place::After(_) => (encoded(step.more.as_ref()), encoded(first)),
        Place::Before(_) => (encoded(last), encoded(step.more.as_ref())),
    }
}

fn mark(order: Order) -> char {
    match order {
        Order::Sent => 's',
        Order::Changed => 'c',
        Order::Found => 'f',
        Order::Id => 'i',
    }
}

fn encoded(order: Order, position: &Position) -> String {
    let at = position.at.map(|at| at.to_string()).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(format!("{}{at}:{}", mark(order), position.id))
}

fn decoded(order: Order, cursor: &str) -> Option<Position> {
    let bytes = (cursor.len() <= LONGEST).then(|| URL_SAFE_NO_PAD.decode(cursor).ok())??;
    let text = String::from_utf8(bytes).ok()?;
    let (at, id) = text.strip_prefix(mark(order))?.split_once(':')?;
    let at = match at {
        "" => None,
        at => Some(at.parse().ok()?),
    };
    let is_of_the_order = order != Order::Id || at.is_none();
    (is_of_the_order && !id.contains('\0')).then(|| Position { at, id: id.to_owned() })
}

/// Everything that a filter selects, some rows at a time, for a file.
#[derive(Debug)]
pub struct Reader {
    filter: Filter,
    known: Known,
    at: Option<Position>,
    is_done: bool,
}

impl Reader {
    /// Rows that are read at once.
    const ROWS: usize = 1_000;

    /// Begins to read.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] names each part that is not valid.
    pub async fn begin(app: &App, asked: ItemsAsked<'_>) -> Result<Self, AdminError> {
        let filter = filter(app, asked).await?;
        let known = Known::from(&app.totals().await?);
        Ok(Self { filter, known, at: None, is_done: false })
    }

    /// Reads on. `None` at the end.
    ///
    /// # Errors
    /// When the database query fails.
    pub async fn next(&mut self, app: &App) -> Result<Option<Vec<ItemSummary>>, AdminError> {
        if self.is_done {
            return Ok(None);
        }
        let mut tx = app.db.read().await?;
        let from = self.at.as_ref().map_or(From::Start, From::After);
        let step = walk::walk_stably(&mut tx, &self.filter, from, Self::ROWS, self.known).await?;
        let rows = walk::rows(&mut tx, &step.found).await?;
        self.is_done = step.more.is_none();
        self.at = step.more;
        Ok(Some(rows.into_iter().map(Into::into).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_of_one_order() {
        for (order, at) in
            [(Order::Sent, Some(17)), (Order::Changed, None), (Order::Found, Some(-1)), (Order::Id, None)]
        {
            let position = Position { at, id: "v:1 ä".into() };
            let cursor = encoded(order, &position);
            assert_eq!(decoded(order, &cursor), Some(position.clone()), "{order:?}");
            assert_eq!(place(order, Some(&cursor), None).expect("taken"), Place::After(position.clone()));
            assert_eq!(place(order, Some(""), Some(&cursor)).expect("taken"), Place::Before(position));
            for other in [Order::Sent, Order::Changed, Order::Found, Order::Id] {
                assert!(other == order || decoded(other, &cursor).is_none(), "{order:?} as {other:?}");
            }
        }
        assert_eq!(place(Order::Id, Some(START), None).expect("taken"), Place::Start);
        let of_id = URL_SAFE_NO_PAD.encode("i5:v");
        for hostile in ["x", "%", "aTp2\n", &of_id, &"a".repeat(2_001), &URL_SAFE_NO_PAD.encode("i:a\0b")] {
            assert!(place(Order::Id, Some(hostile), None).is_err(), "{hostile}");
        }
        assert!(place(Order::Id, Some(START), Some("aTp2")).is_err(), "both");
    }
}
