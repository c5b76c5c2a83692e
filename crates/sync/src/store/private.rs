//! Files that only their owner may read: the database, its lock, its key.
//!
//! Promises: what is created here is private from its first moment, whatever the umask. A data file that is open to
//! others is tightened, and the log says so; a key file that is open to others is refused, since its key may be known.
//! Left out on purpose: access lists, and systems that are not Unix.

use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use tracing::warn;

/// Opens the lock file and creates it when it is missing. One that is open to others is tightened.
pub(super) fn open_lock(path: &Path) -> Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    private(&mut options);
    let file = options.open(path)?;
    tighten(path, &file.metadata()?);
    Ok(file)
}

/// Makes sure that the file of a SQLite database exists and is private. SQLite gives WAL and SHM the mode of that file
/// when it creates them; those of an earlier process are tightened too.
pub(super) fn claim_database(path: &Path) -> Result<()> {
    let mut options = File::options();
    options.create_new(true).write(true);
    private(&mut options);
    // A database that exists is not opened: closing it would end the locks that SQLite holds on it in this process.
    match options.open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.to_owned().into_os_string();
        file.push(suffix);
        match std::fs::metadata(&file) {
            Ok(found) => tighten(Path::new(&file), &found),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Creates a folder and its missing parents.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Reads the key file, or returns `None` when it is missing.
///
/// # Errors
/// When the file cannot be read, or is open to its group or to others; the error has the command that closes it.
pub fn read_key(path: &Path) -> Result<Option<SecretString>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if let Some(mode) = open_to_others(&file.metadata()?) {
        let shown = path.display();
        return Err(Error::other(format!(
            "other users of this machine may use this key file (mode {mode:04o}); close it with `chmod 600 {shown}`, \
             and if anybody may have read it, rotate the key: see `meta-catalog keys --help`"
        )));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(Some(SecretString::from(text.trim())))
}

/// Writes a new key file. It appears under its name with its whole content or not at all.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] when another process was faster; otherwise when the file cannot be written.
pub fn write_key(path: &Path, text: &str) -> Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_folder(parent)?;
    }
    let draft: PathBuf = path.with_extension(format!("key.{}", std::process::id()));
    let mut options = File::options();
    options.create(true).truncate(true).write(true);
    private(&mut options);
    let written = options.open(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    // A link does not replace the file of another process, as a rename would.
    let linked = written.and_then(|()| std::fs::hard_link(&draft, path));
    let removed = std::fs::remove_file(&draft);
    linked.and(removed)
}

#[cfg(unix)]
fn private(options: &mut std::fs::OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn private(_: &mut std::fs::OpenOptions) {}

/// Returns the mode of a file that its group or others may use.
#[cfg(unix)]
fn open_to_others(found: &Metadata) -> Option<u32> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn open_to_others(_: &Metadata) -> Option<u32> {
    None
}

/// Takes the rights of group and others away. When that fails, since the file has another owner, it stays in use: the
/// log tells.
fn tighten(path: &Path, found: &Metadata) {
    let Some(mode) = open_to_others(found) else { return };
    let mut permissions = found.permissions();
    #[cfg(unix)]
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, mode & 0o700);
    let before = format!("{mode:04o}");
    match std::fs::set_permissions(path, permissions) {
        Ok(()) => warn!(file = ?path, before, "data file was open to other users; now it is its owner's alone"),
        Err(error) => warn!(file = ?path, before, %error, "data file is open to other users and cannot be closed"),
    }
}
