use super::*;
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-11-24T08:00:00Z".parse().expect("a moment")
}

/// Returns when the last digest was frozen.
fn last_digest() -> Timestamp {
    now() - TimeDelta::hours(32)
}

fn rules() -> PickerRules {
    PickerRules {
        max_items: 5,
        min_items: 1,
        look_back: TimeDelta::days(28),
        votes_weight: 20,
    }
}

fn entrant(
    tool: &str,
    category: &str,
    (ships, skips): (u32, u32),
    (yes, no): (u64, u64),
) -> CandidateTool {
    CandidateTool {
        tool: tool.parse().expect("a slug"),
        name: tool.to_uppercase(),
        category: category.into(),
        panel: Panel { ships, skips },
        votes: Votes {
            ships: yes,
            skips: no,
        },
    }
}

/// A comparison of two tools of its own, `hours` old.
fn candidate(
    name: &str,
    category: &str,
    hours: i64,
    left: (u32, u32),
    right: (u32, u32),
) -> Candidate {
    Candidate {
        comparison: name.parse().expect("a slug"),
        published_at: now() - TimeDelta::hours(hours),
        left: entrant(&format!("{name}-l"), category, left, (0, 0)),
        right: entrant(&format!("{name}-r"), category, right, (0, 0)),
    }
}

fn picked(candidates: &[Candidate]) -> Vec<String> {
    pick(candidates, &HashSet::new(), last_digest(), now(), &rules())
        .iter()
        .map(|p| p.comparison.to_string())
        .collect()
}

#[test]
fn what_came_since_the_last_digest_comes_before_anything_older() {
    let dull_but_new = candidate("new", "A", 20, (4, 0), (4, 0));
    let hot_but_old = candidate("old", "B", 60, (2, 2), (2, 2));
    assert_eq!(picked(&[hot_but_old, dull_but_new]), ["new", "old"]);
}

#[test]
fn a_split_panel_or_opposite_verdicts_tell_more_than_agreement() {
    let all = [
        candidate("agreed", "A", 10, (4, 0), (3, 1)),
        candidate("opposite", "B", 10, (4, 0), (1, 3)),
        candidate("split", "C", 10, (2, 2), (3, 1)),
    ];
    assert_eq!(picked(&all), ["opposite", "split", "agreed"]);
}

#[test]
fn no_tool_comes_twice_and_categories_are_mixed() {
    let mut again = candidate("again", "A", 2, (2, 2), (2, 2));
    again.left = entrant("first-l", "A", (2, 2), (0, 0));
    let all = [
        candidate("first", "A", 1, (2, 2), (2, 2)),
        again,
        candidate("same-shelf", "A", 3, (2, 2), (3, 1)),
        candidate("other-shelf", "B", 5, (3, 1), (3, 1)),
    ];
    assert_eq!(picked(&all), ["first", "other-shelf", "same-shelf"]);
}

#[test]
fn readers_votes_turn_a_ranking_within_their_bound() {
    let dull = candidate("dull", "A", 10, (4, 0), (4, 0));
    let mut voted = candidate("voted", "B", 30, (4, 0), (4, 0));
    assert_eq!(picked(&[dull.clone(), voted.clone()]), ["dull", "voted"]);
    voted.left.votes = Votes {
        ships: 52,
        skips: 48,
    };
    assert_eq!(picked(&[dull, voted.clone()]), ["voted", "dull"]);
    let hot = candidate("hot", "C", 10, (4, 0), (0, 4));
    voted.left.votes = Votes {
        ships: u64::MAX / 4,
        skips: u64::MAX / 4,
    };
    assert_eq!(picked(&[voted, hot]), ["hot", "voted"]);
}

#[test]
fn a_reader_can_be_told_why() {
    let mut contested = candidate("contested", "A", 10, (2, 2), (4, 0));
    contested.right.votes = Votes {
        ships: 52,
        skips: 48,
    };
    let old = candidate("old", "B", 24 * 15, (4, 0), (1, 3));
    let picks = pick(
        &[contested, old],
        &HashSet::new(),
        last_digest(),
        now(),
        &rules(),
    );
    assert_eq!(
        words(&picks[0]),
        [
            "new this week",
            "the panel is split 2 to 2 on CONTESTED-L",
            "readers split 52 to 48 on CONTESTED-R"
        ]
    );
    assert_eq!(
        words(&picks[1]),
        [
            "the panel says ship for OLD-L, skip for OLD-R",
            "published 2 weeks ago and not sent yet"
        ]
    );
}

#[test]
fn a_pair_that_no_reviewer_judged_is_never_picked() {
    let unjudged = candidate("unjudged", "A", 1, (0, 0), (0, 0));
    let mut voted = unjudged.clone();
    voted.left.votes = Votes {
        ships: 50,
        skips: 50,
    };
    assert_eq!(picked(&[unjudged]), Vec::<String>::new());
    assert_eq!(picked(&[voted]), Vec::<String>::new());
    assert_eq!(
        picked(&[candidate("half", "A", 1, (0, 0), (0, 1))]),
        ["half"],
        "one verdict is something to tell"
    );
}

#[test]
fn what_is_new_for_longer_than_a_week_is_not_said_to_be_of_this_week() {
    let old = candidate("old", "A", 24 * 10, (4, 0), (4, 0));
    let picks = pick(
        &[old],
        &HashSet::new(),
        now() - TimeDelta::days(14),
        now(),
        &rules(),
    );
    assert_eq!(words(&picks[0]), ["new since the last digest"]);
}

#[test]
fn too_few_make_no_digest() {
    let one = [candidate("one", "A", 10, (4, 0), (4, 0))];
    let strict = PickerRules {
        min_items: 2,
        ..rules()
    };
    assert!(pick(&one, &HashSet::new(), last_digest(), now(), &strict).is_empty());
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let side = || {
        (
            0u32..12,
            0usize..4,
            (0u32..6, 0u32..6),
            (0u64..200, 0u64..200),
        )
    };
    (0u32..1000, -48i64..1000, side(), side()).prop_map(|(id, hours, l, r)| {
        let side = |(tool, shelf, panel, votes)| {
            entrant(
                &format!("tool-{tool}"),
                ["A", "B", "C", "D"][shelf],
                panel,
                votes,
            )
        };
        Candidate {
            comparison: format!("c-{id}").parse().expect("a slug"),
            published_at: now() - TimeDelta::hours(hours),
            left: side(l),
            right: side(r),
        }
    })
}

proptest! {
    #[test]
    fn picks_keep_every_rule_whatever_the_catalogue(all in prop::collection::vec(any_candidate(), 0..60), cut in 0usize..60, max in 0usize..8, min in 0usize..4) {
        let mut seen = HashSet::new();
        let mut all: Vec<Candidate> = all.into_iter().filter(|c| seen.insert(c.comparison.clone()) && c.left.tool != c.right.tool).collect();
        let sent: HashSet<Slug> = all.iter().take(cut / 4).map(|c| c.comparison.clone()).collect();
        let rules = PickerRules { max_items: max, min_items: min, look_back: TimeDelta::days(28), votes_weight: 20 };
        let picks = pick(&all, &sent, last_digest(), now(), &rules);

        prop_assert!(picks.len() <= max && (picks.is_empty() || picks.len() >= min));
        prop_assert!(picks.windows(2).all(|two| two[0].score >= two[1].score), "scores never rise");
        let mut tools = HashSet::new();
        for pick in &picks {
            let chosen = all.iter().find(|c| c.comparison == pick.comparison).expect("one of the candidates");
            prop_assert!(!sent.contains(&pick.comparison) && chosen.published_at <= now());
            prop_assert!(chosen.published_at >= now() - TimeDelta::days(28));
            prop_assert!(chosen.left.panel.total() + chosen.right.panel.total() > 0, "somebody judged it");
            prop_assert!(tools.insert(chosen.left.tool.clone()) && tools.insert(chosen.right.tool.clone()), "no tool twice");
            prop_assert!(!pick.reasons.is_empty());
            prop_assert_eq!(pick.score >= 100.0, chosen.published_at > last_digest());
        }

        let middle = cut.min(all.len());
        all.rotate_left(middle);
        all.reverse();
        prop_assert_eq!(pick(&all, &sent, last_digest(), now(), &rules), picks, "row order changes nothing");
    }
}

fn words(pick: &Pick) -> Vec<String> {
    pick.reasons.iter().map(ToString::to_string).collect()
}
