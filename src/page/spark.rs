//! A small line over time, drawn by the server.
//!
//! Promises: attributes only, since the policy forbids inline style; a title says in words what the line shows. A minute
//! without a value is a gap, not a zero.

use std::fmt::{self, Write as _};

use askama::filters::{Html, HtmlSafe, escape};

/// The height of the drawing, in its own units. A value is one unit wide.
const HEIGHT: f64 = 20.0;

/// A line over time: one value for each step, the latest last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spark {
    /// What it shows, in words.
    pub title: String,
    /// The values. `None` where nothing is known.
    pub values: Vec<Option<i64>>,
}

impl HtmlSafe for Spark {}

impl Spark {
    /// The largest value, at least one, so that a line of zeros lies on the ground.
    fn top(&self) -> i64 {
        self.values.iter().flatten().copied().max().unwrap_or_default().max(1)
    }

    /// The stretches without a gap: where each begins, and its heights.
    fn stretches(&self) -> Vec<(usize, Vec<f64>)> {
        let top = self.top();
        let mut stretches: Vec<(usize, Vec<f64>)> = Vec::new();
        let mut goes_on = false;
        for (at, value) in self.values.iter().enumerate() {
            let height = value.map(|value| height(value, top));
            match (height, stretches.last_mut().filter(|_| goes_on)) {
                (Some(height), Some((_, heights))) => heights.push(height),
                (Some(height), None) => stretches.push((at, vec![height])),
                (None, _) => {}
            }
            goes_on = height.is_some();
        }
        stretches
    }
}

/// The distance from the top, with a margin for the width of the line.
#[expect(clippy::cast_precision_loss, reason = "a drawing of twenty units")]
fn height(value: i64, top: i64) -> f64 {
    HEIGHT - 1.0 - (HEIGHT - 2.0) * value.max(0) as f64 / top as f64
}

impl fmt::Display for Spark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.values.len().saturating_sub(1).max(1);
        let (mut line, mut area) = (String::new(), String::new());
        for (from, heights) in self.stretches() {
            let mut points = String::new();
            for (at, height) in heights.iter().enumerate() {
                write!(points, "{}{} {height:.1}", if at == 0 { "" } else { "L" }, from + at)?;
            }
            let to = from + heights.len() - 1;
            // A single minute is a dot: a line of no length with round ends.
            write!(line, "M{points}{}", if heights.len() == 1 { "h0" } else { "" })?;
            write!(area, "M{from} {HEIGHT}L{points}L{to} {HEIGHT}Z")?;
        }
        let Ok(title) = escape(&self.title, Html);
        write!(
            f,
            r#"<svg class="spark" viewBox="0 0 {width} {HEIGHT}" preserveAspectRatio="none" role="img"><title>{title}</title><path d="{area}" fill="currentColor" fill-opacity=".14"/><path d="{line}" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round"/></svg>"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &[Option<i64>]) -> (String, String) {
        let svg = Spark { title: "a < b".into(), values: values.to_vec() }.to_string();
        assert!(svg.contains("<title>a &#60; b</title>") && !svg.contains("style"), "{svg}");
        let mut paths = svg.split(" d=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default().to_owned());
        (paths.next().unwrap_or_default(), paths.next().unwrap_or_default())
    }

    #[test]
    fn a_gap_is_no_zero() {
        let (area, line) = drawn(&[Some(0), Some(10), None, Some(5), None, Some(10), Some(20)]);
        assert_eq!(line, "M0 19.0L1 10.0M3 14.5h0M5 10.0L6 1.0");
        assert_eq!(area, "M0 20L0 19.0L1 10.0L1 20ZM3 20L3 14.5L3 20ZM5 20L5 10.0L6 1.0L6 20Z");
    }

    #[test]
    fn zeros_lie_on_the_ground_and_nothing_is_empty() {
        assert_eq!(drawn(&[Some(0), Some(0)]).1, "M0 19.0L1 19.0");
        assert_eq!(drawn(&[None, None]), (String::new(), String::new()));
        assert_eq!(drawn(&[]), (String::new(), String::new()));
        assert_eq!(drawn(&[Some(i64::MIN), Some(i64::MAX)]).1, "M0 19.0L1 1.0");
    }
}
