//! Files that are hostile to the loader: none ends the service, holds it up or fills the memory.
//!
//! ```sh
//! HOSTILE_FILES=200 cargo test --test processes -- mapper::hostile --nocapture
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use testkit::hostile::Hostile;
use testkit::modules::module;
use testkit::{Engine, Plant, Serve, until, variable};
use tokio::time::sleep;

use crate::crash::open;

/// The longest time until a file is refused.
const REFUSED_WITHIN: Duration = Duration::from_secs(22);
/// The most memory of the service and its children together, in KiB.
const MOST_MEMORY: u64 = 600 << 10;

/// A number of a process in `/proc/PID/status`, in KiB or as it is.
fn status(pid: u32, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The children of a process.
fn children(pid: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").expect("procfs").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    all.filter(|child| status(*child, "PPid") == Some(u64::from(pid))).collect()
}

/// Samples the memory of a process and its children until it is asked for the peak.
struct Peak(tokio::task::JoinHandle<u64>, tokio::sync::oneshot::Sender<()>);

impl Peak {
    fn watch(pid: u32) -> Self {
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let mut peak = 0;
            while stopped.try_recv().is_err() {
                let memory = |pid| status(pid, "VmRSS").unwrap_or_default();
                peak = peak.max(memory(pid) + children(pid).into_iter().map(memory).sum::<u64>());
                sleep(Duration::from_millis(20)).await;
            }
            peak
        });
        Self(task, stop)
    }

    async fn end(self) -> u64 {
        let _ = self.1.send(());
        self.0.await.expect("it ends")
    }
}

struct Operator {
    address: String,
    token: SecretString,
    client: reqwest::Client,
}

impl Operator {
    async fn of(plant: &Plant, serve: &Serve) -> Self {
        Self { address: serve.address(), token: plant.token().await, client: reqwest::Client::new() }
    }

    /// Sends a module; returns the status and what is said.
    async fn put(&self, bytes: Vec<u8>) -> (StatusCode, Value) {
        let request = self.client.put(format!("{}/admin/meta/mapper", self.address));
        let request = request.bearer_auth(self.token.expose_secret()).header("content-type", "application/wasm");
        let response = request.body(bytes).send().await.expect("an answer");
        (response.status(), response.json().await.expect("JSON"))
    }

    async fn healthy(&self) -> Duration {
        let begun = Instant::now();
        let answer = self.client.get(format!("{}/health", self.address)).send().await.expect("an answer");
        assert!(answer.status().is_success());
        begun.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_ends_or_holds_up_the_service() {
    let plant = open(Engine::Sqlite).await;
    let mut serve = plant.serve().await;
    let operator = Operator::of(&plant, &serve).await;
    let files = variable("HOSTILE_FILES").unwrap_or(Hostile::ALL.len());
    let seed = variable("HOSTILE_SEED").unwrap_or(9);
    let mut random = fastrand::Rng::with_seed(seed);
    let good = [module("margin-label"), module("price-rounding")];
    let activate = async |n: usize| {
        let begun = Instant::now();
        let (status, said) = operator.put(good[n % 2].clone()).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        begun.elapsed()
    };
    activate(1).await;
    let alone = activate(0).await;
    let (mut longest, mut heaviest, mut held_up) = (Duration::ZERO, 0, Duration::ZERO);
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    for n in 0..files {
        let kind = Hostile::ALL[n % Hostile::ALL.len()];
        let file = kind.file(&mut random);
        let peak = Peak::watch(serve.id());
        let begun = Instant::now();
        let (refused, good, health) = tokio::join!(
            async {
                let (status, said) = operator.put(file).await;
                (begun.elapsed(), status, said)
            },
            activate(n + 1),
            operator.healthy(),
        );
        let (took, status, answer) = refused;
        let what = format!("seed {seed}, file {n}, {kind:?}");
        assert_eq!(status, StatusCode::BAD_REQUEST, "{what}: {answer}");
        let message = answer["message"].as_str().expect("a message");
        assert!(took < REFUSED_WITHIN, "{what}: {took:?} until {message}");
        let peak = peak.end().await;
        assert!(peak < MOST_MEMORY, "{what}: {peak} KiB until {message}");
        // The numbers differ from file to file.
        let kind_of_message: String = message.chars().filter(|c| !c.is_ascii_digit()).collect();
        *said.entry(format!("{kind:?}: {kind_of_message}")).or_default() += 1;
        longest = longest.max(took);
        heaviest = heaviest.max(peak);
        held_up = held_up.max(good.saturating_sub(alone)).max(health);
        assert!(serve.ended().is_none(), "{what} ended the service: {}", serve.log.text());
    }
    assert!(children(serve.id()).is_empty(), "nothing is left running");
    println!("{files} files, seed {seed}: at most {longest:?}, {heaviest} KiB; others waited {held_up:?}\n{said:#?}");
    // Both cores may compile for the hostile file, so this is a bound for a busy machine, too.
    assert!(held_up < Duration::from_secs(10), "a good module waited {held_up:?}");
    serve.kill().await;
}

/// Each kind in the watched folder: every start comes up and says once of each file why it is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_files_in_the_folder_stop_no_start() {
    let plant = open(Engine::Sqlite).await;
    let folder = plant.folder().join("mappers");
    fs::create_dir_all(&folder).expect("a folder");
    let mut random = fastrand::Rng::with_seed(4);
    for kind in Hostile::ALL {
        fs::write(folder.join(format!("{kind:?}.wasm")), kind.file(&mut random)).expect("written");
    }
    let program = plant.program.with("META_CATALOG_MAPPER_DIR", &folder);
    for start in 1..=3 {
        let mut serve = program.serve(&plant.config);
        serve.listening().await;
        let log = serve.log.clone();
        let told = |kind: Hostile| {
            let name = format!("/{kind:?}.wasm");
            log.text().lines().filter(|line| line.contains(&name) && line.contains("refused")).count()
        };
        let all_told = async || {
            assert!(serve.ended().is_none(), "start {start}: {}", log.text());
            Hostile::ALL.into_iter().all(|kind| told(kind) > 0)
        };
        until("each file is refused", all_told, || format!("start {start}: {}", log.text())).await;
        for kind in Hostile::ALL {
            assert_eq!(told(kind), 1, "start {start}, {kind:?}: {}", serve.log.text());
        }
        serve.kill().await;
        plant.lease_ends().await;
    }
}

/// The child has three pipes, no environment and limits; it ends when the service is killed.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child_inherits_nothing_and_ends_with_the_service() {
    let plant = open(Engine::Sqlite).await;
    let program = plant.program.with("META_CATALOG_SECRET_OF_THIS_TEST", "hunter2").inheriting_descriptor();
    let mut serve = program.serve(&plant.config);
    serve.listening().await;
    let operator = Operator::of(&plant, &serve).await;
    let mut random = fastrand::Rng::with_seed(1);
    let file = Hostile::Heavy.file(&mut random);
    let sending = tokio::spawn(async move {
        let request = operator.client.put(format!("{}/admin/meta/mapper", operator.address));
        let request = request.bearer_auth(operator.token.expose_secret()).header("content-type", "application/wasm");
        request.body(file).send().await
    });
    // It compiles once it has taken its limits.
    let compiling = || children(serve.id()).into_iter().find(|child| status(*child, "Threads").is_some_and(|n| n > 2));
    until("a child compiles", async || compiling().is_some(), String::new).await;
    let child = compiling().expect("it compiles for seconds");
    let descriptors: Vec<String> = fs::read_dir(format!("/proc/{child}/fd"))
        .expect("its descriptors")
        .filter_map(|entry| Some(fs::read_link(entry.ok()?.path()).ok()?.to_string_lossy().into_owned()))
        .collect();
    assert!(descriptors.iter().all(|to| to.starts_with("pipe:") || to.starts_with("/proc/")), "{descriptors:?}");
    assert_eq!(fs::read(format!("/proc/{child}/environ")).expect("its environment"), b"");
    let limits = fs::read_to_string(format!("/proc/{child}/limits")).expect("its limits");
    for limit in ["Max cpu time              7 ", "Max data size             268435456 "] {
        assert!(limits.contains(limit), "{limits}");
    }
    serve.kill().await;
    sending.await.expect("no panic").expect_err("the service is gone");
    // Its own limits would end it too, but later.
    let begun = Instant::now();
    let gone = async || fs::read_link(format!("/proc/{child}/exe")).is_err();
    until("the child ends", gone, String::new).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "the child outlives the service: {:?}", begun.elapsed());
}
