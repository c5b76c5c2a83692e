//! The small aggregates: API tokens, budgets, the channel, field sets, turns, previews of modules.

use std::collections::HashMap;

use catalog_sync::domain::breaker::Breaker;
use catalog_sync::domain::budget::{Bucket, LimiterRow};
use catalog_sync::domain::channel::Channel;
use catalog_sync::domain::outcome::{Problem, Shape};
use catalog_sync::store::api_token::{self, ApiToken};
use catalog_sync::store::channel;
use catalog_sync::store::exclusive::{self, Work};
use catalog_sync::store::field_set::{FieldSets, text_of};
use catalog_sync::store::mapper::{self, StoredModule, files};
use catalog_sync::store::{Db, StoreError, Tx, limiter, preview};
use secrecy::SecretString;

use super::{Done, NOW, TestDb, conformance};

conformance![
    api_tokens_are_found_by_secret_until_revoked,
    budgets_are_read_back_and_replaced,
    the_channel_is_read_back,
    a_problem_keeps_its_beginning,
    field_sets_are_given_one_id_each,
    field_sets_of_many_writers_agree,
    a_turn_is_one_holders,
    a_turn_that_is_not_renewed_runs_out,
    a_cancelled_preview_stays_cancelled,
    files_of_the_last_previews_and_activations_are_kept,
];

async fn api_tokens_are_found_by_secret_until_revoked(db: &TestDb) -> Done {
    let token = |id: &str, at| ApiToken {
        id: id.into(),
        name: format!("für {id}"),
        role: "catalog-admin".into(),
        created_at: at,
        revoked_at: None,
        expires_at: (id == "a").then_some(NOW + 10),
    };
    let secret = |text: &str| SecretString::from(text.to_owned());
    let (late, early) = (token("a", NOW + 1), token("b", NOW));
    let mut tx = db.write().await?;
    api_token::create(&mut tx, &late, &secret("hunter2")).await?;
    api_token::create(&mut tx, &early, &secret("hunter3")).await?;
    tx.commit().await?;

    let mut tx = db.read().await?;
    assert_eq!(api_token::find(&mut tx, &secret("hunter2")).await?.as_ref(), Some(&late));
    assert_eq!(api_token::find(&mut tx, &secret("hunter")).await?, None);
    assert_eq!(api_token::by_id(&mut tx, "a").await?.as_ref(), Some(&late));
    assert_eq!(api_token::by_id(&mut tx, "c").await?, None);
    assert_eq!([NOW + 9, NOW + 10].map(|now| late.has_expired(now)), [false, true]);
    assert!(!early.has_expired(i64::MAX));
    assert_eq!(api_token::list(&mut tx).await?, [early.clone(), late.clone()], "oldest first");
    drop(tx);
    let stored = db.texts("SELECT token_hash FROM api_token").await?;
    assert!(stored.iter().all(|hash| hash.len() == 64 && !hash.contains("hunter")));

    let mut tx = db.write().await?;
    assert!(api_token::revoke(&mut tx, "a", NOW + 2).await?);
    assert!(!api_token::revoke(&mut tx, "a", NOW + 3).await?);
    assert!(!api_token::revoke(&mut tx, "c", NOW + 3).await?);
    tx.commit().await?;
    let mut tx = db.read().await?;
    assert_eq!(api_token::find(&mut tx, &secret("hunter2")).await?, None);
    assert_eq!(api_token::by_id(&mut tx, "a").await?, None);
    assert_eq!(api_token::list(&mut tx).await?, [early, ApiToken { revoked_at: Some(NOW + 2), ..late }]);
    Ok(())
}

async fn budgets_are_read_back_and_replaced(db: &TestDb) -> Done {
    let row = |catalog: &str, bucket, closed_until, last_call_at| LimiterRow {
        catalog_id: catalog.into(),
        bucket,
        closed_until,
        last_call_at,
    };
    let mut rows = vec![
        row("c1", Bucket::Batch, Some(NOW), None),
        row("c1", Bucket::Management, None, Some(NOW)),
        row("c2", Bucket::Batch, None, None),
    ];
    for _ in 0..2 {
        let mut tx = db.write().await?;
        limiter::save(&mut tx, &rows).await?;
        tx.commit().await?;
        let mut tx = db.read().await?;
        let mut read = limiter::load(&mut tx).await?;
        read.sort_by(|a, b| (&a.catalog_id, a.bucket).cmp(&(&b.catalog_id, b.bucket)));
        assert_eq!(read, rows);
        rows[0] = row("c1", Bucket::Batch, None, Some(NOW + 1));
    }
    let mut tx = db.write().await?;
    limiter::save(&mut tx, &[]).await?;
    tx.commit().await?;
    Ok(())
}

async fn save_channel(db: &TestDb, channel: &Channel, now: i64) -> Done {
    let mut tx = db.write().await?;
    channel::save(&mut tx, channel, now).await?;
    tx.commit().await
}

async fn load_channel(db: &TestDb) -> Result<Channel, StoreError> {
    let mut tx = db.read().await?;
    channel::load(&mut tx).await
}

fn problem(code: &str) -> Option<Problem> {
    Some(Problem { code: code.into(), message: "reconnect – jetzt".into() })
}

async fn the_channel_is_read_back(db: &TestDb) -> Done {
    assert_eq!(load_channel(db).await?, Channel::default());
    let mut breaker = Breaker::default();
    breaker.failed(NOW, 0.5);
    let channel = Channel {
        problem: problem("meta_reauth"),
        problem_credential: Some(4),
        breaker,
        shape: Shape { row_cap: Some(250), refusals: 3 },
    };
    save_channel(db, &channel, NOW).await?;
    assert_eq!(load_channel(db).await?, channel);
    save_channel(db, &Channel::default(), NOW).await?;
    assert_eq!(load_channel(db).await?, Channel::default());

    // Unreadable, it starts closed.
    db.run("UPDATE channel SET breaker = 'broken'").await?;
    assert_eq!(load_channel(db).await?, Channel::default());
    Ok(())
}

async fn a_problem_keeps_its_beginning(db: &TestDb) -> Done {
    let since = "SELECT COALESCE(problem_since, 0) FROM channel";
    let with = |code| Channel { problem: problem(code), ..Channel::default() };
    for (channel, now, expected) in [
        (with("a"), NOW, NOW),
        (with("a"), NOW + 1, NOW),
        (with("b"), NOW + 2, NOW + 2),
        (Channel::default(), NOW + 3, 0),
        (with("b"), NOW + 4, NOW + 4),
    ] {
        save_channel(db, &channel, now).await?;
        assert_eq!(db.number(since).await?, expected);
    }
    Ok(())
}

async fn field_sets_are_given_one_id_each(db: &TestDb) -> Done {
    let mut sets = FieldSets::default();
    let (ab, none) = (text_of(["b", "a", "b"]), text_of::<&str>([]));
    assert_eq!((ab.as_str(), none.as_str()), ("a,b", ""));
    sets.intern(db, [ab.as_str(), &none, "c", &ab]).await?;
    let id = sets.id(&ab).expect("an id");
    assert_ne!(Some(id), sets.id("c"));
    assert_eq!(sets.get(Some(id)).expect("the set").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert!(sets.get(sets.id(&none)).expect("the empty set").is_empty());
    assert_eq!((sets.get(None), sets.id("unknown")), (None, None));

    // Another process finds the same ids, and asks only for what it does not know.
    let mut others = FieldSets::default();
    others.load(db, [id, id, 9999]).await?;
    assert_eq!(others.get(Some(id)), sets.get(Some(id)));
    assert_eq!((others.get(Some(9999)), others.id("c")), (None, None));
    others.intern(db, ["c", "d"]).await?;
    assert_eq!((others.id("c"), others.id(&ab)), (sets.id("c"), Some(id)));
    assert_eq!(db.number("SELECT COUNT(*) FROM field_set").await?, 4);
    Ok(())
}

async fn field_sets_of_many_writers_agree(db: &TestDb) -> Done {
    let texts: Vec<String> = (0..20).map(|index| format!("a,field_{index}")).collect();
    let writers: Vec<_> = (0..8)
        .map(|index| {
            let (db, mut texts) = (Db::clone(db), texts.clone());
            texts.rotate_left(index);
            tokio::spawn(async move {
                let mut sets = FieldSets::default();
                sets.intern(&db, texts.iter().map(String::as_str)).await?;
                Ok::<_, StoreError>(texts.into_iter().map(|text| (sets.id(&text), text)).collect::<HashMap<_, _>>())
            })
        })
        .collect();
    let mut answers = Vec::new();
    for writer in writers {
        answers.push(writer.await.expect("no panic")?);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0] && !answer.contains_key(&None)));
    assert_eq!(answers[0].len(), texts.len());
    Ok(())
}

async fn a_turn_is_one_holders(db: &TestDb) -> Done {
    let (work, ttl) = (Work::Selection, 60_000);
    let mut tx = db.write().await?;
    assert!(exclusive::take(&mut tx, work, "a", ttl, NOW).await?);
    assert!(!exclusive::take(&mut tx, work, "b", ttl, NOW).await?);
    assert!(exclusive::take(&mut tx, Work::TokenRenewal, "b", ttl, NOW).await?, "other work is another turn");
    assert!(!exclusive::renew(&mut tx, work, "b", ttl, NOW).await?);
    assert!(exclusive::renew(&mut tx, work, "a", ttl, NOW).await?);
    exclusive::end(&mut tx, work, "b").await?;
    assert!(!exclusive::take(&mut tx, work, "b", ttl, NOW).await?, "nobody ends another's turn");
    exclusive::end(&mut tx, work, "a").await?;
    assert!(exclusive::take(&mut tx, work, "b", ttl, NOW).await?);
    tx.commit().await
}

async fn a_turn_that_is_not_renewed_runs_out(db: &TestDb) -> Done {
    let work = Work::Selection;
    // On PostgreSQL the server's clock decides, and each transaction comes later than the one before.
    assert!(in_one(db, async |tx| exclusive::take(tx, work, "a", -1, NOW).await).await?);
    assert!(in_one(db, async |tx| exclusive::take(tx, work, "b", 60_000, NOW).await).await?);
    assert!(!in_one(db, async |tx| exclusive::renew(tx, work, "a", 60_000, NOW).await).await?, "it is another's now");
    Ok(())
}

async fn in_one(db: &TestDb, step: impl AsyncFnOnce(&mut Tx) -> Result<bool, StoreError>) -> Result<bool, StoreError> {
    let mut tx = db.write().await?;
    let answer = step(&mut tx).await?;
    tx.commit().await?;
    Ok(answer)
}

/// Cancelled by one process while another one runs it.
async fn a_cancelled_preview_stays_cancelled(db: &TestDb) -> Done {
    let mut tx = db.write().await?;
    for id in ["one", "other"] {
        preview::begin(&mut tx, id, "d", "n", "1", NOW).await?;
        assert!(preview::progress(&mut tx, id, 1, NOW + 1).await?);
    }
    preview::cancel(&mut tx, "one", NOW + 2).await?;
    preview::cancel(&mut tx, "nobodys", NOW + 2).await?;
    assert!(!preview::progress(&mut tx, "one", 2, NOW + 3).await?, "its walk ends");
    assert!(preview::progress(&mut tx, "other", 2, NOW + 3).await?);
    // The walk was over when it was cancelled.
    preview::finish(&mut tx, "one", 3, Ok("{}"), NOW + 4).await?;
    preview::finish(&mut tx, "other", 3, Ok("{}"), NOW + 4).await?;
    preview::cancel(&mut tx, "other", NOW + 5).await?;
    let one = preview::load(&mut tx, "one").await?.expect("it is stored");
    let other = preview::load(&mut tx, "other").await?.expect("it is stored");
    assert_eq!(
        (one.done, one.is_reported, one.cancelled_at, one.finished_at),
        (1, false, Some(NOW + 2), Some(NOW + 2))
    );
    let ended = (other.done, other.is_reported, other.cancelled_at, other.finished_at);
    assert_eq!(ended, (3, true, None, Some(NOW + 4)));
    assert_eq!(preview::list(&mut tx).await?, [other, one], "the latest first, then by id");
    assert_eq!(preview::report(&mut tx, "one").await?, None);
    assert_eq!(preview::report(&mut tx, "other").await?.as_deref(), Some("{}"));
    tx.commit().await
}

async fn files_of_the_last_previews_and_activations_are_kept(db: &TestDb) -> Done {
    let keep = async |tx: &mut Tx, digest: &str| {
        mapper::keep(tx, &StoredModule { digest, name: "n", version: "1", bytes: digest.as_bytes() }, NOW).await
    };
    let mut tx = db.write().await?;
    for n in 0..30 {
        let digest = format!("active-{n:02}");
        keep(&mut tx, &digest).await?;
        mapper::offered(&mut tx, &digest, "api", None, NOW + n).await?;
        mapper::activate(&mut tx, &digest, &digest, "api", NOW + n).await?;
    }
    for n in 0..7 {
        let (id, digest) = (format!("preview-{n}"), format!("seen-{n}"));
        keep(&mut tx, &digest).await?;
        preview::begin(&mut tx, &id, &digest, "n", "1", NOW + n).await?;
        files::forget(&mut tx).await?;
    }
    mapper::offered(&mut tx, "bad", "directory", Some("it is no module"), NOW + 90).await?;
    tx.commit().await?;

    let kept = db.texts("SELECT digest FROM mapper_module ORDER BY digest").await?;
    let expected = (10..30).map(|n| format!("active-{n:02}")).chain((2..7).map(|n| format!("seen-{n}")));
    assert_eq!(kept, expected.collect::<Vec<_>>());
    let mut tx = db.read().await?;
    let previews: Vec<(String, bool)> =
        preview::list(&mut tx).await?.into_iter().map(|preview| (preview.digest, preview.is_kept)).collect();
    let expected: Vec<_> = (0..7).rev().map(|n| (format!("seen-{n}"), n >= 2)).collect();
    assert_eq!(previews, expected);
    let known = files::known(&mut tx, 22).await?;
    let brief = |at: usize| (&*known[at].digest, known[at].name.as_deref(), known[at].activated_at);
    assert_eq!(known.len(), 22);
    assert_eq!((brief(0), known[0].refused.as_deref()), (("bad", None, None), Some("it is no module")));
    assert_eq!(brief(1), ("active-29", Some("n"), Some(NOW + 29)));
    assert_eq!(brief(21), ("active-09", None, Some(NOW + 9)), "its file is gone");
    Ok(())
}
