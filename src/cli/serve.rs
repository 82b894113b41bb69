//! `serve`: the service itself.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use clap::ValueEnum;
use listenfd::ListenFd;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::environment;
use super::output::say;
use super::service_manager;
use super::service_manager::ServiceManager;
use super::stopping;
use crate::app::App;
use crate::app::Failure;
use crate::config;
use crate::config::Loaded;
use crate::inbox;
use crate::mail::imap::Account;
use crate::schedule;
use crate::telemetry;
use crate::web;
use crate::web::Pages;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArguments {
    /// Part of the service that this process runs
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "web,schedule,deliver",
        value_name = "ROLES"
    )]
    role: Vec<ServeRole>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ServeRole {
    /// Pages and sign-up
    Web,
    /// Picking and publishing at their times
    Schedule,
    /// Sending mail and webhooks
    Deliver,
    /// Taking in mail that comes back, by LMTP or from a mailbox
    Inbound,
}

impl ServeArguments {
    pub(super) async fn run(
        self,
        app: Arc<App>,
        reload: Reload,
        stop: CancellationToken,
    ) -> Result<ExitCode, Failure> {
        stopping::in_time(&app.clone(), &stop.clone(), self.work(app, reload, stop)).await
    }

    async fn work(
        self,
        app: Arc<App>,
        reload: Reload,
        stop: CancellationToken,
    ) -> Result<ExitCode, Failure> {
        let has = |role| self.role.contains(&role);
        if !app.storage.is_up_to_date().await? {
            return Err(Failure::unavailable(
                "The database's tables are missing or too old; run `verdicts migrate`.",
            ));
        }
        telemetry::metrics_handle();
        let listeners = self.open_listeners(&app).await?;
        let address = listeners.site.as_ref().and_then(|it| it.local_addr().ok());
        if has(ServeRole::Web) {
            app.add_owner_of_settings().await?;
        }
        let brought = app.bring_sample().await?;
        let roles = self.start(&app, listeners, &stop);
        greet(&app, address, brought);
        if has(ServeRole::Web) {
            offer_setup(&app).await?;
        }
        if has(ServeRole::Schedule) {
            app.unused_times()
                .iter()
                .for_each(|sentence| tracing::warn!("{sentence}"));
        }
        let manager = ServiceManager::from_environment();
        manager.ready(&service_manager::status(&app).await);
        let (failed, (), ()) = tokio::join!(
            first_failure(roles, &stop),
            manager.keep_told(&app, &stop),
            reload.on_hangup(&app, &manager, &stop),
        );
        app.storage.close().await;
        tracing::info!("stopped");
        failed.map_or(Ok(ExitCode::SUCCESS), Err)
    }

    /// Opens all that the roles listen on, before any of them starts: an address that is taken ends `serve` at once.
    async fn open_listeners(&self, app: &App) -> Result<Listeners, Failure> {
        let has = |role| self.role.contains(&role);
        // Socket activation: the first is the site's, the second the desk's.
        let mut handed_over = ListenFd::from_env();
        let site = if has(ServeRole::Web) {
            match taken(&mut handed_over, 0)? {
                Some(listener) => Some(listener),
                None => Some(listen(app.settings.site.listen, "VERDICTS_SITE__LISTEN").await?),
            }
        } else {
            None
        };
        let desk = &app.settings.desk;
        let desk_listener = match desk.listen.filter(|_| has(ServeRole::Web) && desk.enabled) {
            Some(address) => match taken(&mut handed_over, 1)? {
                Some(listener) => Some(listener),
                None => Some(listen(address, "VERDICTS_DESK__LISTEN").await?),
            },
            None => None,
        };
        let lmtp = Some(&app.settings.inbound.lmtp)
            .filter(|place| has(ServeRole::Inbound) && !place.is_empty());
        let lmtp = if let Some(place) = lmtp {
            Some(
                inbox::OpenListener::open(place, app.settings.inbound.lmtp_mode().unwrap_or(0o660))
                    .await?,
            )
        } else {
            None
        };
        let mailbox = app.returns().filter(|_| has(ServeRole::Inbound)).cloned();
        if has(ServeRole::Inbound) && lmtp.is_none() && mailbox.is_none() {
            return Err(Failure::invalid_field(
                "inbound.lmtp",
                "The role inbound has no door: set inbound.lmtp or inbound.imap.",
            ));
        }
        Ok(Listeners {
            site,
            desk: desk_listener,
            lmtp,
            mailbox,
        })
    }

    /// Starts the roles.
    fn start(
        &self,
        app: &Arc<App>,
        listeners: Listeners,
        stop: &CancellationToken,
    ) -> JoinSet<Result<(), Failure>> {
        let has = |role| self.role.contains(&role);
        let mut roles: JoinSet<Result<(), Failure>> = JoinSet::new();
        if let Some(listener) = listeners.site {
            let pages = if listeners.desk.is_some() {
                Pages::Site
            } else {
                Pages::All
            };
            roles.spawn(web::serve(app.clone(), listener, pages, stop.clone()));
            let (app, stop) = (app.clone(), stop.clone());
            roles.spawn(async move {
                app.act_on_webhooks_until(&stop).await;
                Ok(())
            });
        }
        {
            let (app, stop) = (app.clone(), stop.clone());
            roles.spawn(async move {
                app.follow_settings_until(&stop).await;
                Ok(())
            });
        }
        if let Some(listener) = listeners.desk {
            roles.spawn(web::serve(app.clone(), listener, Pages::Desk, stop.clone()));
        }
        if has(ServeRole::Schedule) {
            roles.spawn(schedule::run(app.clone(), stop.clone()));
            let (app, stop) = (app.clone(), stop.clone());
            roles.spawn(async move {
                app.pull_sources_until(&stop).await;
                Ok(())
            });
        }
        if has(ServeRole::Deliver) {
            let (app, stop) = (app.clone(), stop.clone());
            roles.spawn(async move {
                tokio::join!(
                    app.deliver_until(&stop),
                    app.mail_users_until(&stop),
                    app.send_webhooks_until(&stop)
                );
                Ok(())
            });
        }
        if let Some(door) = listeners.lmtp {
            let place = door.address().map_or_else(
                || app.settings.inbound.lmtp.clone(),
                |address| address.to_string(),
            );
            say(format_args!(
                "Mail that comes back is taken in by LMTP on {place}"
            ));
            roles.spawn(inbox::serve(app.clone(), door, stop.clone()));
        }
        if let Some(mailbox) = listeners.mailbox {
            say(format_args!(
                "Mail that comes back is fetched from {}",
                mailbox.describe()
            ));
            roles.spawn(inbox::watch(app.clone(), mailbox, stop.clone()));
        }
        roles
    }
}

/// What SIGHUP needs: the settings as they were read, and where from.
pub(super) struct Reload {
    pub(super) file: Option<PathBuf>,
    pub(super) loaded: Loaded,
    pub(super) hangup: Arc<Notify>,
}

impl Reload {
    /// Reads the settings anew at each SIGHUP, until told to stop. Settings that cannot be used leave all as it was.
    async fn on_hangup(mut self, app: &App, manager: &ServiceManager, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.hangup.notified() => {}
            }
            manager.reloading();
            if let Err(failure) = self.take(app) {
                tracing::error!("SIGHUP: the settings stay as they were: {failure}");
            }
            manager.ready(&service_manager::status(app).await);
        }
    }

    fn take(&mut self, app: &App) -> Result<(), Failure> {
        let new = config::load(self.file.as_deref(), environment())
            .map_err(|error| Failure::invalid(error.to_string()))?;
        let reloaded = app.reload(&self.loaded, &new)?;
        telemetry::set_level(&new.settings.log.level);
        let listed = |keys: &[String]| match keys {
            [] => "none".to_owned(),
            keys => keys.join(", "),
        };
        tracing::info!(
            "SIGHUP: settings in force now: {}; settings that need a restart: {}",
            listed(&reloaded.taken),
            listed(&reloaded.needs_restart)
        );
        // What needs a restart is compared with what is in force, so it is named again next time.
        if reloaded.needs_restart.is_empty() {
            self.loaded = new;
        }
        Ok(())
    }
}

/// Listeners of the roles, and the mailbox that is read.
struct Listeners {
    site: Option<TcpListener>,
    desk: Option<TcpListener>,
    lmtp: Option<inbox::OpenListener>,
    mailbox: Option<Account>,
}

/// Waits until every role has ended, and returns the first failure. One part alone is no service: when one ends, the others are stopped.
async fn first_failure(
    mut roles: JoinSet<Result<(), Failure>>,
    stop: &CancellationToken,
) -> Option<Failure> {
    let mut failed = None;
    while let Some(ended) = roles.join_next().await {
        let result = ended.unwrap_or_else(|error| {
            Err(Failure::internal(format!(
                "A part of the service ended badly: {error}."
            )))
        });
        failed = failed.or(result.err());
        stop.cancel();
    }
    failed
}

/// Pause between two attempts to open the database.
const DATABASE_RETRY: Duration = Duration::from_millis(500);

/// Opens the database, and tries again for up to `wait_max` while its server is not up yet (after a reboot both start at once);
/// `None` when the process was told to stop meanwhile.
///
/// # Errors
/// The last attempt's sentence once `wait_max` is over; at once where waiting cannot help (a wrong password, a bad setting).
pub(super) async fn wait_for_database(
    open: impl AsyncFn() -> Result<Arc<App>, Failure>,
    wait_max: Duration,
    stop: &CancellationToken,
) -> Result<Option<Arc<App>>, Failure> {
    let began = Instant::now();
    let mut is_said = false;
    loop {
        let opened = tokio::select! {
            opened = open() => opened,
            () = stop.cancelled() => return Ok(None),
        };
        match opened {
            Err(failure) if failure.is_unreachable() && began.elapsed() < wait_max => {
                if !std::mem::replace(&mut is_said, true) {
                    say(format_args!(
                        "{failure} Trying again for {} seconds.",
                        wait_max.as_secs()
                    ));
                }
            }
            opened => return opened.map(Some),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(DATABASE_RETRY) => {}
        }
    }
}

/// Says how the desk gets its first owner: by a link for the person at the terminal. A log is read by many, so it names the command.
async fn offer_setup(app: &App) -> Result<(), Failure> {
    if let (true, Err(sentence)) = (app.settings.desk.enabled, app.passkeys()) {
        tracing::info!("{sentence}");
    }
    if std::io::stderr().is_terminal() {
        if let Some(link) = app.setup_link().await? {
            say(format_args!("Set up the desk: {}", link.url));
        }
    } else if app.settings.desk.enabled && !app.storage.has_users().await? {
        tracing::info!(
            "the desk has no user yet and answers nobody: `verdicts users setup` prints the link that makes the first"
        );
    }
    Ok(())
}

/// The socket that a service manager opened for this process, if it did (sd_listen_fds(3)).
fn taken(handed_over: &mut ListenFd, index: usize) -> Result<Option<TcpListener>, Failure> {
    let unusable = |error: std::io::Error| {
        Failure::internal(format!(
            "The socket {index} that the service manager hands over cannot be used: {error}."
        ))
    };
    let Some(listener) = handed_over.take_tcp_listener(index).map_err(unusable)? else {
        return Ok(None);
    };
    listener.set_nonblocking(true).map_err(unusable)?;
    TcpListener::from_std(listener).map(Some).map_err(unusable)
}

async fn listen(address: SocketAddr, variable: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::conflict(format!(
            "The service cannot listen on {address}: {error}. Stop what uses it, or set {variable} to another."
        ))
    })
}

/// Says where to look, in words for the person who started it.
fn greet(app: &App, address: Option<SocketAddr>, brought: usize) {
    if brought > 0 {
        say(format_args!(
            "The catalogue was empty: a sample of {brought} invented tools was loaded, its dates moved to now."
        ));
    }
    if let Some(address) = address {
        say(format_args!("verdicts is running at http://{address}"));
        if app.mailbox().is_some() {
            say(format_args!(
                "Mails stay on this machine: read them at http://{address}/mailbox"
            ));
        }
        let base = app.settings.base_url();
        let told = app.settings.site.base_url.port_or_known_default();
        if app.settings.site.base_url.scheme() == "http" && told != Some(address.port()) {
            say(format_args!(
                "Links in mails begin with {base}, which is not where this listens: set VERDICTS_SITE__BASE_URL."
            ));
        }
    }
    say("Stop it with ctrl-C.");
}
