use super::*;

fn batch(last: i64) -> BatchKey {
    BatchKey { mailing: 7, last }
}

#[test]
fn who_sends_fast_has_more_at_hand_and_who_sends_slowly_little() {
    let (mut window, mut now) = (PrefetchWindow::new(10), Instant::now());
    let mut had = vec![window.adapt(now)];
    for pause in [10, 10, 10, 10, 200, 500, 500, 500, 500] {
        now += Duration::from_millis(pause);
        had.push(window.adapt(now));
    }
    assert_eq!(
        had,
        [
            500, 1_000, 2_000, 4_000, 4_000, 4_000, 2_000, 1_000, 500, 500
        ]
    );
}

#[test]
fn a_batch_goes_back_when_its_last_mail_has_ended() {
    let (mut prefetcher, now) = (Prefetcher::new(10, Duration::from_secs(1)), Instant::now());
    let first = prefetcher
        .next(0, 0, Claims::All, now)
        .expect("nothing is at hand");
    assert_eq!(
        (first.room, prefetcher.next(0, 0, Claims::All, now)),
        (500, None),
        "one claim at a time"
    );
    prefetcher.arrived(Some(&[batch(1), batch(1), batch(2)]), false, now);
    prefetcher.has_ended(batch(1));
    prefetcher.has_ended(batch(2));
    assert_eq!(
        prefetcher
            .next(1, 0, Claims::All, now)
            .expect("it is low")
            .ended,
        [batch(2)]
    );
    prefetcher.arrived(Some(&[]), false, now);
    assert!(!prefetcher.is_idle(true));
    prefetcher.has_ended(batch(1));
    assert_eq!(
        prefetcher
            .next(0, 0, Claims::All, now)
            .map(|request| (request.ended, request.room)),
        Some((vec![batch(1)], 0))
    );
    prefetcher.arrived(Some(&[]), false, now);
    assert!(prefetcher.is_idle(true));
}

#[test]
fn after_a_claim_that_failed_the_ledger_is_told_which_batches_are_known() {
    let (mut prefetcher, mut now) = (Prefetcher::new(10, Duration::from_secs(1)), Instant::now());
    assert_eq!(
        prefetcher
            .next(0, 0, Claims::All, now)
            .expect("nothing is at hand")
            .known,
        None
    );
    prefetcher.arrived(Some(&[batch(1), batch(2)]), true, now);
    prefetcher.has_ended(batch(2));
    prefetcher.next(1, 0, Claims::All, now).expect("it is low");
    prefetcher.arrived(None, false, now);
    for (later, is_told) in [
        (CLAIM_AGAIN, true),
        (CLAIM_AGAIN, false),
        (LAST_COMMIT, true),
        (LAST_COMMIT, false),
    ] {
        now += later;
        let request = prefetcher.next(1, 0, Claims::All, now).expect("it is low");
        assert_eq!(request.known.is_some(), is_told, "{later:?}");
        if let Some(known) = request.known {
            assert!(known.contains(&batch(1)), "{known:?}");
            assert_eq!(
                known.contains(&batch(2)),
                request.ended.contains(&batch(2)),
                "what is given back anyway is known"
            );
        }
        prefetcher.arrived(Some(&[]), true, now);
    }
}

#[test]
fn the_mails_of_slow_workers_become_batches_of_their_own() {
    let (mut prefetcher, now) = (Prefetcher::new(10, Duration::from_secs(1)), Instant::now());
    prefetcher.next(0, 0, Claims::All, now);
    prefetcher.arrived(Some(&[batch(9); 3]), false, now);
    assert!(
        !prefetcher.split(batch(9), vec![4]),
        "others of it wait here"
    );
    prefetcher.has_ended(batch(9));
    prefetcher.has_ended(batch(9));
    assert!(prefetcher.split(batch(9), vec![4]) && !prefetcher.split(batch(4), vec![4]));
    assert_eq!(
        prefetcher
            .next(0, 0, Claims::Nothing, now)
            .expect("at once")
            .split,
        [(batch(9), vec![4])]
    );
    prefetcher.arrived(Some(&[]), false, now);
    prefetcher.has_ended(batch(4));
    assert_eq!(
        prefetcher
            .next(0, 0, Claims::Nothing, now)
            .expect("it goes back")
            .ended,
        [batch(4)]
    );
}

#[test]
fn a_parked_batch_is_read_again_once_nothing_of_it_is_left() {
    let (mut prefetcher, now) = (Prefetcher::new(10, Duration::from_secs(1)), Instant::now());
    prefetcher.next(0, 0, Claims::All, now);
    prefetcher.arrived(Some(&[batch(9); 3]), true, now);
    prefetcher.park(batch(9), 2);
    assert_eq!(
        prefetcher
            .next(0, 0, Claims::All, now)
            .expect("more")
            .reopened,
        []
    );
    prefetcher.arrived(Some(&[]), true, now);
    prefetcher.has_ended(batch(9));
    assert_eq!(
        prefetcher
            .next(0, HELD_MAX, Claims::All, now)
            .expect("more")
            .reopened,
        [],
        "there is no room yet"
    );
    prefetcher.arrived(Some(&[]), true, now);
    assert_eq!(
        prefetcher
            .next(0, 0, Claims::All, now)
            .expect("more")
            .reopened,
        [batch(9)]
    );
    prefetcher.arrived(Some(&[batch(9), batch(9)]), true, now);
    prefetcher.has_ended(batch(9));
    prefetcher.has_ended(batch(9));
    assert_eq!(
        prefetcher.next(0, 0, Claims::All, now).expect("more").ended,
        [batch(9)]
    );
}

#[test]
fn where_no_relay_takes_mail_nothing_is_claimed_and_all_goes_back() {
    let (mut prefetcher, now) = (Prefetcher::new(10, Duration::from_secs(1)), Instant::now());
    assert_eq!(prefetcher.next(0, 0, Claims::Nothing, now), None);
    prefetcher.next(0, 0, Claims::All, now);
    prefetcher.arrived(Some(&[batch(9)]), true, now);
    prefetcher.has_ended(batch(9));
    assert_eq!(
        prefetcher
            .next(0, 0, Claims::Nothing, now)
            .map(|request| (request.ended, request.room)),
        Some((vec![batch(9)], 0))
    );
}
