//! Changes to a built-in payload.
//!
//! The payload is canonical and was written here, so a change is spliced into its text without parsing it. Quotes in a
//! text value are escaped, so `,"name":` occurs only where the field begins, unless an attribute holds objects: such a
//! payload, which few shops have, is parsed.

use std::borrow::Cow;

use memchr::memmem;

use super::super::fault::{Cause, short};
use super::super::wire;
use super::field::{self, Field};
use super::{LONGEST_DATA, check_count, check_length, check_names, json, later, own, wrong};
use mapper_core::word::Payload;

/// Applies a patch to a payload of the built-in mapper.
pub(super) fn apply(builtin: Payload, patch: wire::Patch, now: i64) -> Result<Payload, Cause> {
    let wire::Patch { changes, warnings, reevaluate_at } = patch;
    let mut warnings = own(warnings);
    let reevaluate_at = later(reevaluate_at, now, &mut warnings);
    let reevaluate_at = reevaluate_at.into_iter().chain(builtin.reevaluate_at).min();

    check_count(changes.len())?;
    let mut fields = Vec::with_capacity(changes.len());
    for change in &changes {
        fields.push(judge(change, &mut warnings)?);
    }
    fields.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    if let Some(twice) = fields.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(wrong(format!("returned a patch that names `{}` twice", twice[0].shown())));
    }
    // The built-in mapper's warnings about a replaced value no longer apply.
    let is_patched = |name: &str| fields.iter().any(|field| field.name == name);
    let mut kept = builtin.warnings;
    kept.retain(|warning| !warning.field.as_deref().is_some_and(is_patched));
    kept.extend(warnings);

    let (data, names) = if fields.is_empty() {
        (builtin.data, builtin.fields)
    } else if builtin.fields.iter().any(|name| name.ends_with(['}', ']'])) {
        merge(&builtin.data, fields)?
    } else {
        splice(&builtin.data, &builtin.fields, &fields)?
    };
    check_length(&data)?;
    check_names(&names)?;
    Ok(Payload { data, fields: names, warnings: kept, reevaluate_at })
}

/// Checks one change; a field to remove is an absent one.
fn judge<'a>(change: &'a wire::FieldChange, warnings: &mut Vec<mapper_core::Warning>) -> Result<Field<'a>, Cause> {
    let name = Cow::Borrowed(change.name.as_str());
    if name == "id" {
        return Err(wrong("returned a patch of `id`, which must stay the item's own"));
    }
    let given = change.value.as_deref().unwrap_or("null");
    if given.len() > LONGEST_DATA {
        return Err(wrong(format!("set `{}` to {} bytes, {LONGEST_DATA} are allowed", short(&name), given.len())));
    }
    let value = json::value(given).map_err(|error| {
        wrong(format!(
            "set `{}` to the value {}, which is not JSON ({error}); a text needs its quotes",
            short(&name),
            short(given)
        ))
    })?;
    Field::judge(name, value, warnings)
}

/// Puts changes into canonical `data` whose fields may hold objects.
fn merge(data: &str, changes: Vec<Field<'_>>) -> Result<(String, Vec<Cow<'static, str>>), Cause> {
    let entries = json::entries(data)
        .map_err(|error| wrong(format!("was given a built-in payload that is not JSON ({error}); please report it")))?;
    let mut fields = Vec::with_capacity(entries.len() + changes.len());
    for (name, value) in entries {
        if !changes.iter().any(|change| change.name == name) {
            // The built-in mapper has warned already.
            fields.push(Field::judge(name, value, &mut Vec::new())?);
        }
    }
    fields.extend(changes);
    fields.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok((field::write(&fields), field::listed(&fields)))
}

/// Puts changes, sorted by name, into canonical `data` whose `fields` are sorted and all known.
fn splice(
    data: &str,
    fields: &[Cow<'static, str>],
    changes: &[Field<'_>],
) -> Result<(String, Vec<Cow<'static, str>>), Cause> {
    let added = json::object_length(changes.iter().map(|field| (&*field.name, &*field.value)));
    let mut patched = String::with_capacity(data.len() + added);
    let mut names = Vec::with_capacity(fields.len() + changes.len());
    let mut cursor = Cursor { data, fields, next: 0, at: 1 };
    patched.push('{');
    for change in changes {
        cursor.copy_until(&change.name, &mut patched, &mut names)?;
        if !change.is_absent() {
            json::push_entry(&mut patched, &change.name, &change.value);
            names.push(change.listed());
        }
        cursor.skip(&change.name)?;
    }
    cursor.copy_rest(&mut patched, &mut names);
    patched.push('}');
    if !names.is_sorted() {
        names.sort_unstable();
    }
    Ok((patched, names))
}

/// Walks over the fields of a payload's text.
struct Cursor<'a> {
    data: &'a str,
    fields: &'a [Cow<'static, str>],
    /// The next field.
    next: usize,
    /// Where its quoted name begins, or the closing brace if there is none.
    at: usize,
}

impl Cursor<'_> {
    /// Copies the fields before `name`.
    fn copy_until(&mut self, name: &str, to: &mut String, names: &mut Vec<Cow<'static, str>>) -> Result<(), Cause> {
        let until = self.next + self.fields[self.next..].partition_point(|field| &**field < name);
        if until > self.next {
            let end = self.start_of(until)?;
            // Without the comma that follows, if one does.
            let entries = &self.data[self.at..end];
            json::separate(to);
            to.push_str(entries.strip_suffix(',').unwrap_or(entries));
            names.extend_from_slice(&self.fields[self.next..until]);
            (self.next, self.at) = (until, end);
        }
        Ok(())
    }

    /// Passes over `name` if it comes next.
    fn skip(&mut self, name: &str) -> Result<(), Cause> {
        if self.fields.get(self.next).is_some_and(|field| field == name) {
            self.at = self.start_of(self.next + 1)?;
            self.next += 1;
        }
        Ok(())
    }

    fn copy_rest(&self, to: &mut String, names: &mut Vec<Cow<'static, str>>) {
        let entries = &self.data[self.at..self.data.len() - 1];
        if !entries.is_empty() {
            json::separate(to);
            to.push_str(entries);
            names.extend_from_slice(&self.fields[self.next..]);
        }
    }

    /// Where a field at or after the cursor begins; the closing brace for the one past the end.
    fn start_of(&self, field: usize) -> Result<usize, Cause> {
        let Some(name) = self.fields.get(field) else {
            return Ok(self.data.len() - 1);
        };
        if field == self.next {
            return Ok(self.at);
        }
        let pattern = [",\"", name, "\":"].concat();
        memmem::find(&self.data.as_bytes()[self.at..], pattern.as_bytes())
            .map(|found| self.at + found + 1)
            .ok_or_else(|| wrong(format!("was given a built-in payload without its `{name}`; please report it")))
    }
}
