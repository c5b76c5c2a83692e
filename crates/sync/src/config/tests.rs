use super::*;

fn none(_: &str) -> Option<String> {
    None
}

/// Keeps the shipped example correct: it loads, and contains nothing but the defaults.
#[test]
fn the_shipped_example_is_the_default() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/meta-catalog.toml");
    let example = Config::load(Some(Path::new(file)), none).expect("the example loads");
    assert_eq!(format!("{example:?}"), format!("{:?}", Config::default()));
}

#[test]
fn unknown_keys_are_refused_with_their_place() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "lissten = \"127.0.0.1:1\"\n").expect("written");
    let error = Config::load(Some(file.path()), none).expect_err("refused").to_string();
    assert!(error.contains("lissten") && error.contains("listen"), "{error}");
}

#[test]
fn the_environment_wins_and_errors_name_the_variable() {
    let config = Config::load(None, |name| match name {
        "META_GRAPH_BASE_URL" => Some("http://127.0.0.1:9/".into()),
        "DATABASE_URL" => Some("postgres://u:hunter2@h/d".into()),
        _ => None,
    })
    .expect("loads");
    assert_eq!(config.graph.base_url, "http://127.0.0.1:9/");
    assert_eq!(config.database_url(), "postgres://u:hunter2@h/d");
    assert!(!format!("{config:?}").contains("hunter2"));

    let refused = |variable: &'static str, value: &'static str| {
        Config::load(None, |name| (name == variable).then(|| value.to_owned())).expect_err("refused").to_string()
    };
    assert!(refused("META_CATALOG_LISTEN", "localhost").contains("META_CATALOG_LISTEN"));
    assert!(refused("PUBLIC_API_URL", "shop.example").contains("PUBLIC_API_URL"));
}

#[test]
fn the_watched_folder_is_beside_sqlite_and_off_elsewhere() {
    let load = |database: &str, directory: Option<&str>| {
        let config = Config::load(None, |name| match name {
            "DATABASE_URL" => Some(database.into()),
            "META_CATALOG_MAPPER_DIR" => directory.map(Into::into),
            _ => None,
        });
        config.expect("loads").mapper_directory()
    };
    assert_eq!(Config::default().mapper_directory(), Some("data/mappers".into()));
    assert_eq!(load("sqlite:///srv/shop.db", None), Some("/srv/mappers".into()));
    assert_eq!(load("sqlite:///srv/shop.db", Some("off")), None);
    assert_eq!(load("postgres://u@h/d", None), None);
    assert_eq!(load("postgres://u@h/d", Some("/mnt/mappers")), Some("/mnt/mappers".into()));
}

#[test]
fn a_call_cannot_outlive_the_lease() {
    let mut config = Config { lease_seconds: 48, ..Config::default() };
    assert!(config.validate().is_err());
    config.lease_seconds = 49;
    assert!(config.validate().is_ok());
}

#[test]
fn what_is_settled_is_kept_for_days_or_for_ever() {
    let load = |text: &str| {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), format!("[retention]\n{text}\n")).expect("written");
        Config::load(Some(file.path()), none).map(|config| config.retention).map_err(|error| error.to_string())
    };
    let kept = RetentionConfig { intent_days: 0, ..RetentionConfig::default() };
    assert_eq!(load("intent_days = 0"), Ok(kept));
    assert_eq!(load("submission_days = 3650").map(|kept| kept.submission_days), Ok(3650));
    assert_eq!(
        load("intent_days = 3651"),
        Err("retention.intent_days: takes 1 to 3650 days, or 0 to keep for ever; got 3651".into())
    );
    let refused = |text| load(text).expect_err("refused");
    assert!(refused("submission_days = 4000").starts_with("retention.submission_days: "));
    assert!(
        refused("intent_days = -1")
            .contains("line 2, column 15: invalid value, expected u32 in `retention.intent_days`")
    );
    assert!(refused("processed_days = 30").contains("`intent_days`"));
}

#[test]
fn the_database_is_shown_without_its_password() {
    let shown = |url: &str| {
        let mut config = Config::default();
        config.set_database_url(url.into());
        config.database_shown()
    };
    assert_eq!(shown("sqlite:///srv/shop.db?mode=rwc"), "/srv/shop.db");
    assert_eq!(
        shown("postgres://shop:hunter2@db.example:5433/shop?sslmode=require"),
        "postgres://db.example:5433/shop"
    );
}
