use super::*;

const KEEP: Keep = Keep { count: 100, ttl: Duration::from_secs(24 * 3600) };
const HOUR: u64 = 3_600_000;

fn session(id: &str, accessed: u64) -> Session {
    Session { accessed, ..Session::new(id, 0) }
}

async fn ids(kept: &InMemory, keep: Keep, now: u64) -> Vec<String> {
    kept.list("me", keep, now).await.expect("in memory").into_iter().map(|session| session.id).collect()
}

#[tokio::test]
async fn a_session_is_kept_for_a_day_after_its_last_use() {
    let kept = InMemory::default();
    kept.put("me", session("a", 0), KEEP).await.expect("in memory");
    let minute = 60_000;
    assert!(kept.get("me", "a", KEEP, 24 * HOUR - minute).await.expect("in memory").is_some());
    assert!(kept.get("me", "a", KEEP, 24 * HOUR + minute).await.expect("in memory").is_none());
    assert!(ids(&kept, KEEP, 24 * HOUR + minute).await.is_empty());
}

#[tokio::test]
async fn of_too_many_the_one_not_used_for_the_longest_goes() {
    let kept = InMemory::default();
    let keep = Keep { count: 2, ..KEEP };
    for (id, accessed) in [("a", 1), ("b", 3), ("c", 2), ("d", 4)] {
        kept.put("me", session(id, accessed), keep).await.expect("in memory");
    }
    assert_eq!(ids(&kept, keep, 5).await, ["d", "b"]);
}

#[tokio::test]
async fn nobody_sees_the_sessions_of_another() {
    let kept = InMemory::default();
    kept.put("me", session("a", 1), KEEP).await.expect("in memory");
    assert!(kept.get("you", "a", KEEP, 1).await.expect("in memory").is_none());
    assert!(kept.list("you", KEEP, 1).await.expect("in memory").is_empty());
}

#[test]
fn the_last_two_turns_are_recalled() {
    let mut session = Session::new("a", 0);
    assert_eq!(session.recalled("next"), "next");
    for (prompt, response) in [("one", "1"), ("two", "2"), ("three", "3")] {
        session.add(prompt, response, 7);
    }
    assert_eq!(session.count, 3);
    assert_eq!(session.recalled("next"), "Context: two -> 2\nContext: three -> 3\n\nTask: next");
}

#[test]
fn long_texts_are_cut_between_letters() {
    let mut session = Session::new("a", 0);
    session.add(&"é".repeat(TEXT_MAX), &"🙂".repeat(TEXT_MAX), 1);
    assert!(session.turns[0].prompt.len() <= TEXT_MAX && session.turns[0].response.len() <= TEXT_MAX);
    assert!(session.recalled("next").starts_with(&format!("Context: {}... -> ", "é".repeat(RECALLED.0))));
}
