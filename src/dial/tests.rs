//! Against addresses of this machine: one that answers, one that drops packets, one that accepts and is silent, one that refuses.

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;

use super::*;

const LIMITS: AddressTimeouts = AddressTimeouts {
    connect: Duration::from_secs(60),
    first_step: Duration::from_secs(60),
};
/// For what never comes.
const SHORT: AddressTimeouts = AddressTimeouts {
    connect: Duration::from_millis(300),
    first_step: Duration::from_millis(300),
};

/// Accepts connections, and says `words` to each.
async fn answering(words: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let _ = tcp.write_all(words).await;
        }
    });
    address
}

/// A listener whose queue is full: Linux drops what comes after, as a firewall does. Held for as long as it is to be silent.
async fn dropping() -> (SocketAddr, impl Sized) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .expect("bound");
    let listener = socket.listen(0).expect("it listens");
    let address = listener.local_addr().expect("an address");
    let mut queued = Vec::new();
    while let Ok(Ok(tcp)) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
        queued.push(tcp);
    }
    (address, (listener, queued))
}

async fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("an address")
}

fn destination() -> Destination {
    Destination::new("relay.example", 25)
}

async fn race(
    to: &Destination,
    addresses: &[SocketAddr],
    limits: AddressTimeouts,
) -> Result<SocketAddr, Unreached<io::Error>> {
    let reached = to.race(addresses.to_vec(), limits, spoken_to).await;
    let (mut tcp, address) = reached?;
    let mut first = [0];
    tcp.read_exact(&mut first)
        .await
        .expect("what it said is still there to be read");
    assert_eq!(first[0], b'2');
    Ok(address)
}

/// The order in which addresses are tried next.
fn next(to: &Destination, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let known = to.known();
    order::ordered(addresses, known.good, &known.bad)
}

#[tokio::test]
async fn an_address_that_drops_packets_is_passed_over_while_it_is_still_tried() {
    let ((silent, _held), good) = (dropping().await, answering(b"220 hello\r\n").await);
    let to = destination();
    assert_eq!(
        race(&to, &[silent, good], LIMITS).await.expect("reached"),
        good
    );
    assert_eq!(
        next(&to, &[silent, good]),
        [good, silent],
        "and tried last from then on"
    );
}

#[tokio::test]
async fn an_address_that_accepts_and_says_nothing_is_passed_over_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (silent, good) = (
        listener.local_addr().expect("an address"),
        answering(b"220 hello\r\n").await,
    );
    let to = destination();
    assert_eq!(
        race(&to, &[silent, good], LIMITS).await.expect("reached"),
        good
    );
    assert_eq!(next(&to, &[silent, good]), [good, silent]);
}

#[tokio::test]
async fn addresses_that_refuse_or_hang_up_are_passed_over() {
    let (refuses, hangs_up, good) = (
        refusing().await,
        answering(b"").await,
        answering(b"220 hello\r\n").await,
    );
    let to = destination();
    assert_eq!(
        race(&to, &[refuses, hangs_up, good], LIMITS)
            .await
            .expect("reached"),
        good
    );
    assert_eq!(
        next(&to, &[refuses, hangs_up, good]),
        [good, refuses, hangs_up]
    );
}

#[tokio::test]
async fn when_none_answers_each_is_named_with_its_reason() {
    let ((silent, _held), refuses) = (dropping().await, refusing().await);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mute = listener.local_addr().expect("an address");
    let to = destination();
    let words = race(&to, &[silent, refuses, mute], SHORT)
        .await
        .expect_err("none")
        .to_string();
    for why in [
        "no answer within 300ms",
        "refused",
        "no answer within 300ms on a connection that it took",
    ] {
        assert!(words.contains(why), "{why} in {words}");
    }
    assert_eq!(
        race(&to, &[silent], SHORT)
            .await
            .expect_err("none")
            .to_string(),
        "no answer within 300ms"
    );
}

#[tokio::test]
async fn one_that_fails_after_its_first_step_gives_way_to_the_others_in_turn() {
    let (one, other) = (
        answering(b"220 hello\r\n").await,
        answering(b"220 hello\r\n").await,
    );
    let to = destination();
    let order = || next(&to, &[one, other]);
    assert_eq!(race(&to, &order(), LIMITS).await.expect("reached"), one);
    to.distrust(one);
    assert_eq!(race(&to, &order(), LIMITS).await.expect("reached"), other);
    to.distrust(other);
    assert_eq!(
        order(),
        [one, other],
        "both are bad, and the one that failed longer ago goes first"
    );
}

#[tokio::test]
async fn a_survey_tries_each_address_by_itself() {
    let good = answering(b"220 hello\r\n").await;
    let to = Destination::new("127.0.0.1", good.port());
    assert_eq!(to.survey(LIMITS, spoken_to).await, Ok(vec![(good, None)]));
    let mute = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let to = Destination::new("127.0.0.1", mute.local_addr().expect("an address").port());
    let found = to.survey(SHORT, spoken_to).await.expect("an address");
    assert!(
        matches!(&found[..], [(_, Some(why))] if why.contains("on a connection that it took")),
        "{found:?}"
    );
}
