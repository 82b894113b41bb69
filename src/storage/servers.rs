//! The way to a PostgreSQL server whose name has several addresses, of which one may lead nowhere.
//!
//! sqlx 0.9 is given a name and tries its addresses one after the other, each for as long as the kernel does (two minutes), and each
//! time from the first on. It cannot be handed a connection, and an address in place of the name would be what TLS asks for (SNI) and
//! verifies. So sqlx talks to a socket of this process, in a folder that nobody else may enter, and each connection to it is carried on
//! over one that is made as all others are ([`crate::dial`]). A name with one address has no such detour.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::postgres::PgSslMode;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

use super::Storage;
use super::StorageError;
use crate::dial::AddressTimeouts;
use crate::dial::Destination;
use crate::dial::spoken_to;

/// For each address.
const LIMITS: AddressTimeouts = AddressTimeouts {
    connect: Duration::from_secs(10),
    first_step: Duration::from_secs(10),
};
/// `SSLRequest` (PostgreSQL, "Message Formats"), which every server answers with one byte and remembers nothing of.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// Bytes of a client's first message that are kept until an address answers it: a start-up packet has at most 10,000.
const FIRST_MESSAGE: usize = 10_000;

/// A server that is reached by its name.
#[derive(Debug, Clone)]
pub(super) struct DatabaseServer {
    destination: Destination,
    /// The socket, as long as anybody uses it.
    _forwarder: Option<Arc<AbortOnDropHandle<()>>>,
}

/// Makes options by which sqlx reaches the server whichever of its addresses answers.
///
/// # Errors
/// When it is the only host, its name has several addresses, and none of them answers.
pub(super) async fn reachable(
    options: PgConnectOptions,
    is_alone: bool,
) -> Result<(PgConnectOptions, Option<DatabaseServer>), StorageError> {
    let host = options.get_host().to_owned();
    let is_name = options.get_socket().is_none() && !host.starts_with('/');
    if !is_name {
        return Ok((options, None));
    }
    let destination = Destination::new(&host, options.get_port());
    // That nobody knows the name is said by sqlx as well as it could be here.
    let addresses = destination
        .addresses(LIMITS.connect)
        .await
        .unwrap_or_default();
    if addresses.len() < 2 {
        return Ok((
            options,
            Some(DatabaseServer {
                destination,
                _forwarder: None,
            }),
        ));
    }
    let greeted = destination
        .reach(LIMITS, |tcp| answers(tcp, SSL_REQUEST.to_vec()))
        .await;
    let verifies_name = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull);
    match greeted {
        // `localhost`, by IPv4 and IPv6: nothing routes by its name, and the detour would show.
        Ok((_, good))
            if addresses.iter().all(|address| address.ip().is_loopback()) && !verifies_name =>
        {
            return Ok((
                options.host(&good.ip().to_string()),
                Some(DatabaseServer {
                    destination,
                    _forwarder: None,
                }),
            ));
        }
        Err(unreached) if is_alone => {
            return Err(sqlx::Error::Io(std::io::Error::other(unreached.to_string())).into());
        }
        // Another host may be the primary now, and this one again later.
        _ => {}
    }
    let cannot = |error| StorageError::Query(sqlx::Error::Io(error));
    let folder = tempfile::tempdir().map_err(cannot)?;
    let listener = UnixListener::bind(
        folder
            .path()
            .join(format!(".s.PGSQL.{}", options.get_port())),
    )
    .map_err(cannot)?;
    let options = options.socket(folder.path());
    let carried = destination.clone();
    let forwarder = tokio::spawn(async move {
        let _folder = folder;
        while let Ok((client, _)) = listener.accept().await {
            let destination = carried.clone();
            tokio::spawn(async move {
                if let Err(why) = carry(client, &destination).await {
                    tracing::warn!(
                        "a connection to the database at {} could not be made: {why}",
                        destination.place()
                    );
                }
            });
        }
    });
    Ok((
        options,
        Some(DatabaseServer {
            destination,
            _forwarder: Some(Arc::new(AbortOnDropHandle::new(forwarder))),
        }),
    ))
}

/// Reaches the server with the client's first message, and then carries both ways until one side ends.
async fn carry(mut client: UnixStream, destination: &Destination) -> Result<(), String> {
    let mut first = vec![0; FIRST_MESSAGE];
    let length = client.read(&mut first).await.unwrap_or(0);
    first.truncate(length);
    if first.is_empty() {
        return Ok(());
    }
    let reached = destination
        .reach(LIMITS, |tcp| answers(tcp, first.clone()))
        .await;
    let (mut server, _) = reached.map_err(|unreached| unreached.to_string())?;
    // How it ends is seen at both ends.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    Ok(())
}

/// The first step of a server: it answers a client's first message. The answer stays to be read.
async fn answers(mut tcp: TcpStream, message: Vec<u8>) -> std::io::Result<TcpStream> {
    tcp.write_all(&message).await?;
    spoken_to(tcp).await
}

impl Storage {
    /// Tries every address of each database server by itself, all at once, each for at most `limit`: for each server its place, and
    /// why an address does not answer. Empty on SQLite, and where a socket or an address is named.
    pub async fn survey_servers(
        &self,
        limit: Duration,
    ) -> Vec<(String, Vec<(SocketAddr, Option<String>)>)> {
        let limits = AddressTimeouts {
            connect: limit,
            first_step: limit,
        };
        let look = async |server: &DatabaseServer| {
            let addresses = server
                .destination
                .survey(limits, |tcp| answers(tcp, SSL_REQUEST.to_vec()))
                .await;
            (server.destination.place(), addresses.unwrap_or_default())
        };
        futures_util::future::join_all(self.servers.iter().map(look)).await
    }
}
