//! Floor 2: the way to another host, whatever is spoken there: TCP over all addresses of its name, by staggered attempts
//! (RFC 8305, "Happy Eyeballs"). Relay, IMAP host, PostgreSQL and webhook providers are all reached from here.
//!
//! Two deviations from the RFC. An address counts as reached once its server answers (a first step that the caller brings: a
//! banner, a TLS handshake), for one that accepts connections and is silent is as dead as one that drops packets. And the address
//! that was good last time is tried first, so that a dead one costs one connection a quarter of a second, and no other anything.

mod order;
pub mod tls;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio::time::timeout;

/// Connection attempt delay: how long an address has before the next one is tried beside it (RFC 8305, section 8).
pub const NEXT_ADDRESS: Duration = Duration::from_millis(250);
/// Time that a server has for its first step, once it took the connection, before the next address is tried beside it. A server that
/// is slow each time (a tarpit, postscreen) gets twice what it took last time, so that it does not see two connections for one.
const NEXT_IF_SILENT: Duration = Duration::from_secs(2);

/// A host and a port, and what is known of its addresses. Clones share what they know.
#[derive(Debug, Clone)]
pub struct Destination {
    host: String,
    port: u16,
    known: Arc<Mutex<AddressHistory>>,
}

/// Lookup of a name's addresses: the system's, unless the caller brings another.
#[derive(Clone, Default)]
pub struct Resolver(Option<Lookup>);

type Lookup = Arc<dyn Fn(&str) -> Vec<IpAddr> + Send + Sync>;

impl Resolver {
    /// A resolver that asks `lookup`.
    pub fn new(lookup: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(lookup)))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.0.is_some() {
            "another"
        } else {
            "the system's"
        };
        write!(f, "Resolver({whose})")
    }
}

#[derive(Debug, Default)]
struct AddressHistory {
    /// The address that was reached last.
    good: Option<SocketAddr>,
    /// Addresses that failed, the latest last; tried after all others, and in this order.
    bad: Vec<SocketAddr>,
    /// Duration of the last first step.
    first_step: Duration,
}

/// Time limits for one address.
#[derive(Debug, Clone, Copy)]
pub struct AddressTimeouts {
    /// For the name to be resolved, and for a TCP connection.
    pub connect: Duration,
    /// For the first step.
    pub first_step: Duration,
}

/// The reason why no address of a destination was reached.
#[derive(Debug)]
pub enum Unreached<E> {
    /// The name has no address, or nobody knows one.
    Name(String),
    /// Failure of each address, in the order in which they failed.
    Addresses(Vec<(SocketAddr, Missed<E>)>),
}

/// The reason why an address was not reached.
#[derive(Debug)]
pub enum Missed<E> {
    /// No TCP connection: refused, no route, no answer in time.
    Unconnected(String),
    /// A connection, and no first step within that time.
    Silent(Duration),
    /// The first step failed.
    Step(E),
}

impl<E: fmt::Display> fmt::Display for Missed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unconnected(why) => f.write_str(why),
            Self::Silent(limit) => {
                write!(f, "no answer within {limit:?} on a connection that it took")
            }
            Self::Step(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Display> fmt::Display for Unreached<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(why) => f.write_str(why),
            Self::Addresses(missed) => match &missed[..] {
                [(_, only)] => only.fmt(f),
                all => {
                    for (at, (address, why)) in all.iter().enumerate() {
                        write!(
                            f,
                            "{}{}: {why}",
                            if at > 0 { "; " } else { "" },
                            address.ip()
                        )?;
                    }
                    Ok(())
                }
            },
        }
    }
}

/// Progress of the attempt at one address.
enum Leg<T, E> {
    Connected(TcpStream),
    Done(T, Duration),
    Missed(Missed<E>),
}

impl Destination {
    /// A host name or an IP address, and a port.
    pub fn new(host: &str, port: u16) -> Self {
        // As URLs write an IPv6 address, no resolver knows it.
        Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            known: Arc::default(),
        }
    }

    /// `host:port`, as sentences name it.
    pub fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Reaches the first address at which a TCP connection and then `first_step` succeed. Answers what the step made of the
    /// connection, and the address.
    ///
    /// # Errors
    /// When every address failed, within its own limits.
    pub async fn reach<T, E, F>(
        &self,
        limits: AddressTimeouts,
        first_step: impl Fn(TcpStream) -> F,
    ) -> Result<(T, SocketAddr), Unreached<E>>
    where
        T: Send + 'static,
        E: fmt::Display + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let addresses = self
            .addresses(limits.connect)
            .await
            .map_err(Unreached::Name)?;
        self.race(addresses, limits, first_step).await
    }

    /// The same for those addresses alone that `admit` lets pass: no other gets as much as a connection. The name is looked up once, and
    /// what is reached is what was looked at, so that a name that changes its address in between (DNS rebinding) gains nothing.
    ///
    /// # Errors
    /// As [`Destination::reach`]; and when none of the addresses may be reached, with the reason of the first.
    pub async fn reach_admitted<T, E, F>(
        &self,
        limits: AddressTimeouts,
        resolver: &Resolver,
        admit: impl Fn(IpAddr) -> Result<(), String>,
        first_step: impl Fn(TcpStream) -> F,
    ) -> Result<(T, SocketAddr), Unreached<E>>
    where
        T: Send + 'static,
        E: fmt::Display + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let found = match &resolver.0 {
            Some(resolve) => resolve(&self.host)
                .into_iter()
                .map(|ip| SocketAddr::new(ip, self.port))
                .collect(),
            None => self
                .addresses(limits.connect)
                .await
                .map_err(Unreached::Name)?,
        };
        let mut refused = None;
        let mut admitted = found;
        admitted.retain(|address| match admit(address.ip()) {
            Ok(()) => true,
            Err(why) => {
                refused.get_or_insert(why);
                false
            }
        });
        match refused {
            Some(why) if admitted.is_empty() => Err(Unreached::Name(why)),
            _ => self.race(admitted, limits, first_step).await,
        }
    }

    async fn race<T, E, F>(
        &self,
        addresses: Vec<SocketAddr>,
        limits: AddressTimeouts,
        first_step: impl Fn(TcpStream) -> F,
    ) -> Result<(T, SocketAddr), Unreached<E>>
    where
        T: Send + 'static,
        E: fmt::Display + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let mut waiting = addresses.into_iter();
        let mut racing: JoinSet<(SocketAddr, Leg<T, E>)> = JoinSet::new();
        let mut tried = Vec::new();
        let mut missed = Vec::new();
        let mut next_at = Instant::now();
        loop {
            tokio::select! {
                biased;
                Some(ended) = racing.join_next() => match ended {
                    Ok((address, Leg::Connected(tcp))) => {
                        racing.spawn(step(address, first_step(tcp), limits.first_step));
                        next_at = Instant::now() + NEXT_IF_SILENT.max(2 * self.known().first_step);
                    }
                    Ok((address, Leg::Done(value, took))) => {
                        self.note_reached(address, took, &tried, &missed);
                        return Ok((value, address));
                    }
                    Ok((address, Leg::Missed(why))) => {
                        missed.push((address, why));
                        next_at = Instant::now();
                    }
                    // A step that panicked: its address is tried no more.
                    Err(_) => next_at = Instant::now(),
                },
                () = tokio::time::sleep_until(next_at), if waiting.len() > 0 => {
                    if let Some(address) = waiting.next() {
                        tried.push((address, Instant::now()));
                        racing.spawn(connect(address, limits.connect));
                        next_at = Instant::now() + NEXT_ADDRESS;
                    }
                }
                else => break,
            }
        }
        self.note_missed(&missed);
        Err(Unreached::Addresses(missed))
    }

    /// Tries every address by itself, all at once; for each, why it was not reached.
    ///
    /// # Errors
    /// When the name has no address, or nobody knows one.
    pub async fn survey<T, E, F>(
        &self,
        limits: AddressTimeouts,
        first_step: impl Fn(TcpStream) -> F,
    ) -> Result<Vec<(SocketAddr, Option<String>)>, String>
    where
        E: fmt::Display,
        F: Future<Output = Result<T, E>>,
    {
        let addresses = self.addresses(limits.connect).await?;
        let look = async |address| {
            let tcp = match connect::<T, E>(address, limits.connect).await.1 {
                Leg::Connected(tcp) => tcp,
                Leg::Missed(why) => return (address, Some(why.to_string())),
                Leg::Done(..) => return (address, None),
            };
            match step(address, first_step(tcp), limits.first_step).await.1 {
                Leg::Missed(why) => (address, Some(why.to_string())),
                _ => (address, None),
            }
        };
        Ok(futures_util::future::join_all(addresses.into_iter().map(look)).await)
    }

    /// Takes note that an address turned out to be of no use after its first step: the others are tried before it.
    pub fn distrust(&self, address: SocketAddr) {
        let mut known = self.known();
        known.bad.retain(|bad| *bad != address);
        known.bad.push(address);
        if known.good == Some(address) {
            known.good = None;
        }
    }

    /// All addresses of the name, in the order in which they are to be tried.
    pub async fn addresses(&self, limit: Duration) -> Result<Vec<SocketAddr>, String> {
        let found = match timeout(
            limit,
            tokio::net::lookup_host((self.host.as_str(), self.port)),
        )
        .await
        {
            Ok(Ok(found)) => found.collect::<Vec<_>>(),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("its name was not resolved within {limit:?}")),
        };
        if found.is_empty() {
            return Err("its name has no address".into());
        }
        let mut known = self.known();
        known.bad.retain(|bad| found.contains(bad));
        Ok(order::ordered(&found, known.good, &known.bad))
    }

    /// Remembers the good address, and says once which others were passed over.
    fn note_reached<E: fmt::Display>(
        &self,
        good: SocketAddr,
        first_step: Duration,
        tried: &[(SocketAddr, Instant)],
        missed: &[(SocketAddr, Missed<E>)],
    ) {
        let mut known = self.known();
        known.first_step = first_step;
        let was_bad = known.bad.contains(&good);
        known.bad.retain(|bad| *bad != good);
        known.good = Some(good);
        let passed_over: Vec<_> = tried
            .iter()
            .filter(|(address, _)| *address != good && !known.bad.contains(address))
            .collect();
        known
            .bad
            .extend(passed_over.iter().map(|(address, _)| address));
        drop(known);
        for (address, since) in passed_over {
            let missed = missed.iter().find(|(of, _)| of == address);
            let why = missed.map_or_else(
                || format!("no answer for {} ms", since.elapsed().as_millis()),
                |(_, why)| why.to_string(),
            );
            tracing::warn!(
                "{}: address {} failed ({why}); using {}. Fix it or remove it from DNS; `verdicts doctor` tests each address",
                self.place(),
                address.ip(),
                good.ip()
            );
        }
        if was_bad {
            tracing::info!(
                "{}: the address {} is used (again)",
                self.place(),
                good.ip()
            );
        }
    }

    /// Remembers which addresses failed. When none was reached, none is worse than the others; the one that was good is tried first no more.
    fn note_missed<E>(&self, missed: &[(SocketAddr, Missed<E>)]) {
        let mut known = self.known();
        known.bad.clear();
        if missed
            .iter()
            .any(|(address, _)| Some(*address) == known.good)
        {
            known.good = None;
        }
    }

    fn known(&self) -> MutexGuard<'_, AddressHistory> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first step where the server speaks first: waits for its first byte, which stays to be read.
///
/// # Errors
/// When the connection broke or was closed without a word.
pub async fn spoken_to(tcp: TcpStream) -> io::Result<TcpStream> {
    match tcp.peek(&mut [0]).await? {
        0 => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it closed the connection without a word",
        )),
        _ => Ok(tcp),
    }
}

async fn connect<T, E>(address: SocketAddr, limit: Duration) -> (SocketAddr, Leg<T, E>) {
    let leg = match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(tcp)) => {
            // With Nagle's algorithm each small command waits up to 44 ms for a delayed ACK. Where it cannot be set, all is slow and works.
            let _ = tcp.set_nodelay(true);
            Leg::Connected(tcp)
        }
        Ok(Err(error)) => Leg::Missed(Missed::Unconnected(error.to_string())),
        Err(_) => Leg::Missed(Missed::Unconnected(format!("no answer within {limit:?}"))),
    };
    (address, leg)
}

async fn step<T, E>(
    address: SocketAddr,
    step: impl Future<Output = Result<T, E>>,
    limit: Duration,
) -> (SocketAddr, Leg<T, E>) {
    let began = Instant::now();
    let leg = match timeout(limit, step).await {
        Ok(Ok(value)) => Leg::Done(value, began.elapsed()),
        Ok(Err(error)) => Leg::Missed(Missed::Step(error)),
        Err(_) => Leg::Missed(Missed::Silent(limit)),
    };
    (address, leg)
}

#[cfg(test)]
mod tests;
