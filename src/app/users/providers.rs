//! Providers of OpenID Connect as this process knows them: the way to each, and its discovery document.

use std::path::Path;
use std::sync::Arc;

use chrono::TimeDelta;
use tokio::sync::Mutex;
use url::Url;

use crate::app::App;
use crate::app::Failure;
use crate::config::ClientAuth;
use crate::config::OidcSettings;
use crate::config::Settings;
use crate::domain::Timestamp;
use crate::identity::oidc::ClientIdentity;
use crate::identity::oidc::Network;
use crate::identity::oidc::OidcProvider;
use crate::identity::oidc_fault::NetworkFault;
use crate::identity::oidc_fault::OidcFault;
use crate::outside::HttpClient;
use crate::outside::guard::NamedHost;

/// Age at which a discovery document is fetched again.
const DOCUMENT: TimeDelta = TimeDelta::hours(1);
/// A document whose keys do not fit is fetched again at most this often: strangers can bring tokens.
const AGAIN: TimeDelta = TimeDelta::minutes(1);

/// Provider that the settings name.
pub(crate) struct KnownProvider {
    network: Network,
    document: Mutex<Option<(Arc<OidcProvider>, Timestamp)>>,
}

impl KnownProvider {
    fn new(settings: &OidcSettings) -> Result<Self, Failure> {
        let named = NamedHost(settings.host());
        let client = HttpClient::new(named, settings.tls_ca.as_deref()).map_err(|words| {
            Failure::invalid_field(
                "desk.oidc",
                format!("desk.oidc ({}): {words}.", settings.name),
            )
        })?;
        let network = Network::new(move |request| {
            let client = client.clone();
            Box::pin(async move {
                let answer = client.send(request).await;
                answer.map_err(|error| NetworkFault(error.to_string()))
            })
        });
        Ok(Self {
            network,
            document: Mutex::default(),
        })
    }

    /// The network on which it is asked.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// The provider by its discovery document. `is_stale`: its keys did not fit.
    pub(crate) async fn provider(
        &self,
        issuer: &str,
        is_stale: bool,
        now: Timestamp,
    ) -> Result<Arc<OidcProvider>, OidcFault> {
        let mut document = self.document.lock().await;
        let age_max = if is_stale { AGAIN } else { DOCUMENT };
        if let Some((provider, since)) = &*document
            && now - *since < age_max
        {
            return Ok(provider.clone());
        }
        let provider = Arc::new(OidcProvider::discover(issuer, &self.network).await?);
        *document = Some((provider.clone(), now));
        Ok(provider)
    }
}

/// All that the settings name, in their order.
pub(crate) fn known_providers(settings: &Settings) -> Result<Vec<KnownProvider>, Failure> {
    let providers = settings.desk.oidc.iter();
    providers.map(KnownProvider::new).collect()
}

impl App {
    /// The provider whose name in addresses is `slug`.
    pub(super) fn provider_at(&self, slug: &str) -> Option<(&OidcSettings, &KnownProvider)> {
        let mut providers = self.settings.desk.oidc.iter().zip(&self.providers);
        providers.find(|(settings, _)| settings.slug() == slug)
    }

    /// Address to which a provider sends browsers back: it has to be registered there.
    pub fn redirect_address(&self, settings: &OidcSettings) -> String {
        format!(
            "{}/desk/oidc/{}/callback",
            self.settings.desk_url(),
            settings.slug()
        )
    }

    /// This service as a provider knows it.
    ///
    /// # Errors
    /// A sentence, when the file of the secret cannot be read.
    pub(super) async fn client_at(
        &self,
        settings: &OidcSettings,
    ) -> Result<ClientIdentity, OidcFault> {
        let secret = match (&settings.client_secret, &settings.client_secret_file) {
            (Some(secret), _) => Some(secret.expose().to_owned()),
            (None, Some(file)) => Some(read_secret(file).await?),
            (None, None) => None,
        };
        let redirect = Url::parse(&self.redirect_address(settings));
        Ok(ClientIdentity {
            id: settings.client_id.clone(),
            secret,
            is_secret_in_form: settings.client_auth == ClientAuth::Post,
            redirect: redirect.map_err(|error| OidcFault::Unusable(error.to_string()))?,
        })
    }

    /// Looks at each provider: its discovery document and its keys. Answers its name, and what is wrong or where it signs people in.
    pub async fn look_at_providers(&self) -> Vec<(String, Result<String, String>)> {
        let mut found = Vec::new();
        for (settings, known) in self.settings.desk.oidc.iter().zip(&self.providers) {
            let look = async {
                self.client_at(settings).await?;
                known.provider(&settings.issuer, true, self.now()).await
            };
            let told = look.await.map(|provider| {
                format!(
                    "signs people in at {}; the redirect address to register is {}",
                    provider.authorization_url().host_str().unwrap_or_default(),
                    self.redirect_address(settings)
                )
            });
            found.push((
                settings.name.clone(),
                told.map_err(|fault| fault.to_string()),
            ));
        }
        found
    }
}

async fn read_secret(file: &Path) -> Result<String, OidcFault> {
    let text = tokio::fs::read_to_string(file).await;
    let text = text.map_err(|error| {
        OidcFault::Unusable(format!(
            "client_secret_file {} cannot be read: {error}",
            file.display()
        ))
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
