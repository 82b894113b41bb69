//! Places for connections: how many there are, who has them, and whose is given to a newcomer when all are taken.
//!
//! A place that does nothing useful is worth less than a newcomer: whoever opens connections and neither asks nor reads loses the
//! oldest of them, so that others get in and nobody is shut out by waiting for time limits alone. Pure: the caller brings the clock.

use std::collections::BTreeMap;

/// Phase of a connection, as far as it matters for who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waits for the client: for a request, or for it to read an answer.
    OnClient,
    /// Works on a request.
    Working,
}

/// A connection's number.
pub type PlaceId = u64;

/// Answer to a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Comes in, under that number.
    Admitted(PlaceId),
    /// Comes in under the first number, and the connection with the second one is to be closed.
    InPlaceOf(PlaceId, PlaceId),
    /// All are at work: asks again in a moment.
    Full,
}

/// Bounds on places; times are milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct PlaceLimits {
    /// Places in all.
    pub max: usize,
    /// Places of one client.
    pub per_client: usize,
    /// The time after which a connection that waits for its client may be closed for another.
    pub spare_waiting_ms: u64,
    /// The time after which one that works may be.
    pub spare_working_ms: u64,
}

#[derive(Debug)]
struct Place<C> {
    /// `None`: a client without a limit of its own, such as a proxy that stands for many.
    client: Option<C>,
    phase: Phase,
    since_ms: u64,
}

/// The places that are taken.
#[derive(Debug)]
pub struct Places<C> {
    limits: PlaceLimits,
    taken: BTreeMap<PlaceId, Place<C>>,
    next: PlaceId,
}

impl<C: Ord + Copy> Places<C> {
    /// All free.
    pub fn new(limits: PlaceLimits) -> Self {
        Self {
            limits,
            taken: BTreeMap::new(),
            next: 0,
        }
    }

    /// Gives a newcomer a place, if need be somebody's who does not use it: first of its own client, which has too many, else of
    /// the client that has the most.
    pub fn admit(&mut self, client: Option<C>, now_ms: u64) -> Admission {
        let own = client.map_or(0, |client| self.count(client));
        let victim = if client.is_some() && own >= self.limits.per_client {
            self.stalest(now_ms, |place| place.client == client)
        } else if self.taken.len() >= self.limits.max {
            let greediest = self
                .greediest()
                .filter(|greediest| client == Some(*greediest) || self.count(*greediest) > own);
            let of_greediest = self.stalest(now_ms, |place| {
                greediest.is_some() && place.client == greediest
            });
            // Nobody makes room for a client that has as many as they have.
            let has_more =
                |place: &Place<C>| place.client.is_none_or(|owner| self.count(owner) > own);
            of_greediest.or_else(|| self.stalest(now_ms, has_more))
        } else {
            return Admission::Admitted(self.enter(client, now_ms));
        };
        match victim {
            Some(victim) => {
                self.taken.remove(&victim);
                Admission::InPlaceOf(self.enter(client, now_ms), victim)
            }
            None => Admission::Full,
        }
    }

    /// Notes what a connection is at from now on; one that lost its place is passed over.
    pub fn enter_phase(&mut self, id: PlaceId, phase: Phase, now_ms: u64) {
        if let Some(place) = self.taken.get_mut(&id) {
            (place.phase, place.since_ms) = (phase, now_ms);
        }
    }

    /// Frees a place.
    pub fn leave(&mut self, id: PlaceId) {
        self.taken.remove(&id);
    }

    fn enter(&mut self, client: Option<C>, now_ms: u64) -> PlaceId {
        self.next += 1;
        self.taken.insert(
            self.next,
            Place {
                client,
                phase: Phase::OnClient,
                since_ms: now_ms,
            },
        );
        self.next
    }

    fn count(&self, client: C) -> usize {
        self.taken
            .values()
            .filter(|place| place.client == Some(client))
            .count()
    }

    fn greediest(&self) -> Option<C> {
        let mut counts: BTreeMap<C, usize> = BTreeMap::new();
        for client in self.taken.values().filter_map(|place| place.client) {
            *counts.entry(client).or_default() += 1;
        }
        counts
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(client, _)| client)
    }

    /// The connection that has been at the same thing longest, among those that may be closed for another.
    fn stalest(&self, now_ms: u64, among: impl Fn(&Place<C>) -> bool) -> Option<PlaceId> {
        let is_spare = |place: &Place<C>| {
            let spare_ms = match place.phase {
                Phase::OnClient => self.limits.spare_waiting_ms,
                Phase::Working => self.limits.spare_working_ms,
            };
            now_ms.saturating_sub(place.since_ms) >= spare_ms
        };
        let spare = self
            .taken
            .iter()
            .filter(|(_, place)| among(place) && is_spare(place));
        spare
            .min_by_key(|(_, place)| (place.phase == Phase::Working, place.since_ms))
            .map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(max: usize, per_client: usize) -> Places<u8> {
        Places::new(PlaceLimits {
            max,
            per_client,
            spare_waiting_ms: 1_000,
            spare_working_ms: 5_000,
        })
    }

    #[test]
    fn who_has_too_many_loses_its_oldest() {
        let mut places = places(10, 2);
        assert_eq!(places.admit(Some(1), 0), Admission::Admitted(1));
        assert_eq!(places.admit(Some(1), 10), Admission::Admitted(2));
        assert_eq!(places.admit(Some(1), 20), Admission::Full, "both are fresh");
        assert_eq!(
            places.admit(Some(2), 20),
            Admission::Admitted(3),
            "others are not concerned"
        );
        places.enter_phase(1, Phase::Working, 900);
        assert_eq!(
            places.admit(Some(1), 1_100),
            Admission::InPlaceOf(4, 2),
            "not the one that works"
        );
        places.leave(4);
        assert_eq!(places.admit(Some(1), 1_200), Admission::Admitted(5));
    }

    #[test]
    fn when_all_are_taken_the_greediest_gives_one_up() {
        let mut places = places(5, 4);
        for client in [2, 1, 1, 1, 2] {
            assert!(matches!(
                places.admit(Some(client), 0),
                Admission::Admitted(_)
            ));
        }
        assert_eq!(places.admit(Some(3), 2_000), Admission::InPlaceOf(6, 2));
        assert_eq!(
            places.admit(None, 2_000),
            Admission::InPlaceOf(7, 1),
            "a proxy is a client like any other when all are taken"
        );
    }

    #[test]
    fn nobody_makes_room_for_a_client_that_has_more() {
        let mut places = places(3, 2);
        for client in [1, 2, 2] {
            assert!(matches!(
                places.admit(Some(client), 0),
                Admission::Admitted(_)
            ));
        }
        places.enter_phase(2, Phase::Working, 1_500);
        places.enter_phase(3, Phase::Working, 1_500);
        assert_eq!(
            places.admit(Some(3), 2_000),
            Admission::InPlaceOf(4, 1),
            "one for somebody who has none"
        );
        places.enter_phase(4, Phase::OnClient, 2_000);
        assert_eq!(places.admit(Some(1), 4_000), Admission::InPlaceOf(5, 4));
        places.enter_phase(5, Phase::OnClient, 4_000);
        places.leave(3);
        assert!(matches!(
            places.admit(Some(4), 4_000),
            Admission::Admitted(_)
        ));
        assert_eq!(
            places.admit(Some(1), 6_000),
            Admission::Full,
            "one each, and two for nobody"
        );
    }

    #[test]
    fn all_at_work_is_full_until_one_takes_too_long() {
        let mut places = places(1, 1);
        assert_eq!(places.admit(Some(1), 0), Admission::Admitted(1));
        places.enter_phase(1, Phase::Working, 0);
        assert_eq!(places.admit(Some(2), 4_999), Admission::Full);
        assert_eq!(places.admit(Some(2), 5_000), Admission::InPlaceOf(2, 1));
    }
}
