//! `meta-catalog keys …`: the keys that seal tokens and the app secret.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Subcommand;

use super::{Done, Failed};
use catalog_sync::admin::keys;
use catalog_sync::config::Config;
use catalog_sync::startup;
use catalog_sync::store::Db;
use catalog_sync::store::seal::Keyring;
use catalog_sync::store::sealed::{self, Sealed};

#[derive(Debug, Subcommand)]
#[command(
    after_help = "A new key, step by step:\n  openssl rand -base64 32              make a key\n  META_CATALOG_KEY=<new>,<old>         restart with both: the first seals, all open (several\n                                       replicas: first all of them with <old>,<new>)\n  meta-catalog keys rotate             seal everything with the first\n  META_CATALOG_KEY=<new>               restart every replica with the new one alone\n\nWithout META_CATALOG_KEY the keys are in the key file beside the SQLite database (data/meta-catalog.key), in the same form. A key may have a name: name:base64. Backups keep needing the key of their time. docs/operations.md has more."
)]
pub(super) enum KeysCommand {
    /// Show which key sealed what; exit code 1 when a configured key is missing
    List,
    /// Seal everything with the first configured key
    #[command(
        long_about = "Seal everything with the first configured key, so that the others can be removed.\n\nA service may run meanwhile, if every replica was started with the same keys: what it writes in between is kept. Each value is a transaction of its own. Killed at any moment, nothing is lost, and running the command again continues."
    )]
    Rotate,
    /// Remove what no configured key opens, when its key is lost
    #[command(
        long_about = "Remove what no configured key opens, when its key is lost: the app secret has to be entered again, and the account to be connected to Meta again. Everything else in the database stays.\n\nWithout --yes the command shows what it would remove and changes nothing. The service must not run."
    )]
    Forget {
        /// Do it
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(config: &Config, command: KeysCommand) -> Done {
    let keyring = startup::keyring(config)?;
    let db = startup::open_store(config).await?;
    let done = match command {
        KeysCommand::List => list(&db, &keyring).await,
        KeysCommand::Rotate => rotate(config, &db, &keyring).await,
        KeysCommand::Forget { yes } => forget(config, &db, &keyring, yes).await,
    };
    db.close().await;
    done
}

async fn list(db: &Db, keyring: &Keyring) -> Done {
    let all = keys::list(db).await?;
    let mut of_key: BTreeMap<Option<&str>, Vec<&Sealed>> = BTreeMap::new();
    for value in &all {
        of_key.entry(value.key()).or_default().push(value);
    }
    for (index, name) in keyring.names().enumerate() {
        let state = if index == 0 { "configured first: it seals" } else { "configured: it opens" };
        println!("key {name:?}, {state}");
        show(of_key.remove(&Some(name)).unwrap_or_default(), keyring);
    }
    for (name, values) in of_key {
        match name {
            Some(name) => println!("key {name:?}, not configured"),
            None => println!("no key: not values that this version seals"),
        }
        show(values, keyring);
    }
    let unopened = all.iter().any(|value| !value.opens(keyring));
    if unopened {
        println!("Not everything opens. `meta-catalog keys --help` says how to go on.");
    } else if sealed::of_other_keys(&all, keyring).next().is_some() {
        println!("`meta-catalog keys rotate` seals everything with the first key.");
    }
    Ok(ExitCode::from(u8::from(unopened)))
}

fn show(values: Vec<&Sealed>, keyring: &Keyring) {
    println!("  {} sealed", count(values.len()));
    for value in values {
        let problem = if value.opens(keyring) { "" } else { " (does not open)" };
        println!("  - {}{problem}", value.kind);
    }
}

async fn rotate(config: &Config, db: &Db, keyring: &Keyring) -> Done {
    let all = keys::list(db).await?;
    if !sealed::has_started(&all, keyring)
        && let Err(running) = startup::not_running(config, db).await
    {
        let message = format!(
            "the service runs, but not yet with the key {:?} in front, so it could not open what is sealed with it: \
             restart every replica with these keys first ({running})",
            keyring.sealing_key()
        );
        return Err(Failed { message, code: 1 });
    }
    let done = keys::rotate(db, keyring, |value| println!("sealed again: {}", value.kind)).await?;
    let first = keyring.sealing_key();
    println!("Sealed again with the key {first:?}: {}; before: {}.", count(done.resealed), count(done.already));
    let others: Vec<&str> = keyring.names().skip(1).collect();
    if others.is_empty() {
        println!("It is the only configured key. `meta-catalog keys --help` shows how to change to a new one.");
    } else {
        println!(
            "Next: remove {others:?} from META_CATALOG_KEY (or the key file) of every replica and restart it. Keep the \
             old key for the backups of its time."
        );
    }
    Ok(ExitCode::SUCCESS)
}

async fn forget(config: &Config, db: &Db, keyring: &Keyring, yes: bool) -> Done {
    let all = keys::list(db).await?;
    let lost: Vec<Sealed> = all.into_iter().filter(|value| !value.opens(keyring)).collect();
    if lost.is_empty() {
        println!("Every value opens; nothing has to be removed.");
        return Ok(ExitCode::SUCCESS);
    }
    if !yes {
        for value in &lost {
            println!("would remove: {}", value.kind);
        }
        let message = format!("nothing was changed; repeat with --yes to remove it. {}", sealed::after(&lost));
        return Err(Failed { message, code: 1 });
    }
    // Held until the end, so that no service starts in between.
    let _lock = startup::not_running(config, db).await?;
    let gone = keys::forget(db, keyring).await?;
    for value in &gone {
        println!("removed: {}", value.kind);
    }
    println!("{}", sealed::after(&gone));
    Ok(ExitCode::SUCCESS)
}

fn count(values: usize) -> String {
    if values == 1 { "1 value".into() } else { format!("{values} values") }
}
