//! How many connections the limit of open files allows.

use catalog_sync::config::HttpSection;

use super::ServerError;

/// Descriptors that connections to the API never take: standard streams and the runtime (about 20), SQLite databases
/// with their write-ahead logs (about 30), connections of the pipeline and of sessions (9), calls to Meta, names that
/// are looked up, and the files and memories of mapper modules.
const RESERVE: u64 = 96;
/// With fewer connections the API is of no use.
const LEAST: u64 = 16;

/// Returns how many connections there may be. `pool` is the number of connections to the database for requests.
///
/// # Errors
/// When the limit of open files is too low for the service.
pub(super) fn connections(http: &HttpSection, pool: u32) -> Result<u32, ServerError> {
    allowed(limit(), http.max_connections, pool)
}

/// Returns this process's limit of open files; `None` without one.
#[cfg(unix)]
fn limit() -> Option<u64> {
    use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    (soft != RLIM_INFINITY).then_some(soft)
}

#[cfg(not(unix))]
fn limit() -> Option<u64> {
    None
}

fn allowed(limit: Option<u64>, wanted: u32, pool: u32) -> Result<u32, ServerError> {
    let Some(limit) = limit else { return Ok(wanted) };
    let reserve = RESERVE + u64::from(pool);
    if limit < reserve + LEAST {
        return Err(ServerError::Descriptors { limit, least: reserve + LEAST });
    }
    Ok(wanted.min(u32::try_from(limit - reserve).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_everything_else() {
        assert_eq!(allowed(None, 512, 10).ok(), Some(512));
        assert_eq!(allowed(Some(1_048_576), 512, 10).ok(), Some(512));
        assert_eq!(allowed(Some(256), 512, 10).ok(), Some(150));
        assert_eq!(allowed(Some(256), 512, 100).ok(), Some(60));
        assert_eq!(allowed(Some(256), 100, 10).ok(), Some(100));
        assert_eq!(allowed(Some(122), 512, 10).ok(), Some(16));
        let refused = allowed(Some(121), 512, 10).expect_err("too few").to_string();
        assert!(refused.contains("121") && refused.contains("122") && refused.contains("ulimit -n"), "{refused}");
    }
}
