//! A private PostgreSQL server for the tests of this process.
//!
//! Purpose: [`database`] gives each test an empty database of its own.
//! Promises: one server per process. The first use starts it from the binaries on this machine, in a temporary
//! directory. Only this machine can reach it. The server and its directory end with this process, however the process
//! ends (return, panic, kill). Works as root, too.
//! Left out on purpose: durability (`fsync` is off), and the installation of PostgreSQL (`scripts/test.sh` does it).

use std::env;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, Executor, PgConnection};

/// Returns the URL of a new, empty database on the process's server. The first call starts the server, which takes a
/// few seconds.
pub async fn database() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    // The server is never dropped. It ends when the standard input of its keeper closes.
    let server = SERVER.get_or_init(|| Server::start().expect("PostgreSQL starts"));
    server.database().await
}

/// A running server. Dropping it stops the server and removes its directory.
#[derive(Debug)]
pub struct Server {
    /// The shell that runs [`KEEPER`].
    keeper: Child,
    /// Holds the data and the socket.
    directory: PathBuf,
    port: u16,
    databases: AtomicU32,
}

/// Sets up a server, prints `ready DIRECTORY`, and waits for the end of its standard input. The kernel closes that
/// input when the test process ends. Then the script takes the server down.
///
/// Locale: linguistic order, where the build has ICU, exposes a query without `COLLATE "C"`. Under the C locale such a
/// query passes here and fails in production.
const KEEPER: &str = r#"
exec 2>&1
bin=$1 port=$2
dir=$(mktemp -d "${3}/mc-pg.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
trap '' INT TERM HUP PIPE
make() {
    "$bin/initdb" --pgdata="$dir/data" --username=postgres --auth=trust --encoding=UTF8 \
        --no-sync --no-instructions "$@"
}
make --locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US >"$dir/init.log" 2>&1 ||
    { rm -rf "$dir/data"; make --locale=C >"$dir/init.log" 2>&1; } ||
    { cat "$dir/init.log"; exit 1; }
cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$dir'
max_connections = 200
fsync = off
synchronous_commit = off
full_page_writes = off
CONF
"$bin/pg_ctl" start --wait --timeout=60 --silent --pgdata="$dir/data" --log="$dir/server.log" \
    </dev/null || { cat "$dir/server.log"; exit 1; }
echo "ready $dir"
exec >/dev/null 2>&1
cat
"$bin/pg_ctl" stop --wait --mode=immediate --silent --pgdata="$dir/data"
"#;

impl Server {
    /// Starts a server and waits until it accepts connections.
    ///
    /// # Errors
    /// When something is missing, or when the server does not start; the error carries the server's output.
    pub fn start() -> Result<Self, String> {
        crate::only_in_the_whole_run("PostgreSQL");
        let bin = binaries()?;
        let mut last = String::new();
        // Another process may take the free port before the server binds it, so the start is retried.
        for _ in 0..5 {
            match Self::start_on(&bin, free_port()?) {
                Ok(server) => return Ok(server),
                Err(said) if said.contains("Address already in use") => last = said,
                Err(said) => return Err(said),
            }
        }
        Err(last)
    }

    fn start_on(bin: &Path, port: u16) -> Result<Self, String> {
        let mut keeper = as_ordinary_user()?
            .args(["sh", "-c", KEEPER, "postgres-keeper"])
            .arg(bin)
            .arg(port.to_string())
            .arg(temporary_directory())
            // An ordinary user cannot enter root's directories.
            .current_dir("/")
            // Ctrl-C must reach only the tests, because the keeper still has to clean up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot run a shell for PostgreSQL: {e}"))?;
        let stdout = keeper.stdout.take().ok_or("the keeper has no output")?;
        let mut said = String::new();
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(|e| format!("cannot read from the keeper: {e}"))?;
            if let Some(directory) = line.strip_prefix("ready ") {
                let directory = directory.into();
                return Ok(Self { keeper, directory, port, databases: AtomicU32::new(0) });
            }
            said.push_str(&line);
            said.push('\n');
        }
        let status = keeper.wait().map_err(|e| e.to_string())?;
        Err(format!("PostgreSQL from {} did not start ({status}):\n{said}", bin.display()))
    }

    /// Creates a new, empty database and returns its URL.
    pub async fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed) + 1);
        let mut admin = PgConnection::connect(&self.url("postgres")).await.expect("the server takes connections");
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        admin.execute(sqlx::raw_sql(create)).await.expect("the database is created");
        admin.close().await.expect("the connection closes");
        self.url(&name)
    }

    /// Returns the URL of one of the server's databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Stops the server and breaks its connections. The shutdown is orderly, because without `fsync` a crash would lose
    /// data.
    pub fn stop(&self) {
        self.control(&["stop", "--wait", "--mode=fast", "--silent"]);
    }

    /// Starts the server again after [`Server::stop`], with its data.
    pub fn start_again(&self) {
        self.control(&["start", "--wait", "--timeout=60", "--silent"]);
    }

    fn control(&self, what: &[&str]) {
        let program = binaries().expect("the programs are there").join("pg_ctl");
        let log = self.directory.join("server.log");
        let status = as_ordinary_user()
            .expect("there is a user for it")
            .arg(program)
            .args(what)
            .arg("--pgdata")
            .arg(self.directory.join("data"))
            .arg("--log")
            .arg(log)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("pg_ctl runs");
        assert!(status.success(), "pg_ctl {what:?}: {status}");
    }

    /// Returns the directory with the data and the socket.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // A failure here cannot be handled, and a panic in a drop would hide the panic of the test.
        let _ = self.keeper.wait();
    }
}

/// Finds the directory with the server's programs.
fn binaries() -> Result<PathBuf, String> {
    let has_all = |dir: &PathBuf| ["initdb", "pg_ctl", "postgres"].iter().all(|p| dir.join(p).is_file());
    let on_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>());
    let configured = Command::new("pg_config").arg("--bindir").output().ok();
    let configured = configured.and_then(|output| String::from_utf8(output.stdout).ok());
    let mut candidates = on_path.unwrap_or_default();
    candidates.extend(configured.map(|dir| PathBuf::from(dir.trim())));
    candidates.extend(debian_versions());
    candidates.into_iter().find(has_all).ok_or_else(|| {
        "PostgreSQL's server programs (initdb, pg_ctl, postgres) are neither in PATH nor where \
         pg_config says nor in /usr/lib/postgresql; scripts/test.sh installs them"
            .to_owned()
    })
}

/// Returns Debian's program directories, newest version first. Debian keeps each version in its own directory.
fn debian_versions() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> =
        entries.filter_map(|e| Some((e.file_name().to_str()?.parse().ok()?, e.path().join("bin")))).collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, dir)| dir).collect()
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|e| format!("no free port: {e}"))?;
    listener.local_addr().map(|address| address.port()).map_err(|e| e.to_string())
}

/// Returns the usual temporary directory. As root, only when the server's user may write there.
fn temporary_directory() -> PathBuf {
    let usual = env::temp_dir();
    let open = usual.metadata().is_ok_and(|m| m.permissions().mode() & 0o003 == 0o003);
    if open || !is_root() { usual } else { PathBuf::from("/tmp") }
}

fn is_root() -> bool {
    output("id", &["-u"]).is_some_and(|id| id == "0")
}

/// Returns a command that runs its arguments as a user that PostgreSQL accepts. PostgreSQL refuses root.
fn as_ordinary_user() -> Result<Command, String> {
    if !is_root() {
        return Ok(Command::new("env"));
    }
    let user = ["postgres", "nobody"]
        .into_iter()
        .find_map(|user| Some((output("id", &["-u", user])?, output("id", &["-g", user])?)));
    let (uid, gid) = user.ok_or("PostgreSQL refuses root, and there is no user postgres or nobody")?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &uid, "--regid", &gid, "--clear-groups"]);
    Ok(command)
}

/// Returns the output of a command, if it succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
