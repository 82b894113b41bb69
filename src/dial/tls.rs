//! Trust of TLS connections.

use std::path::Path;
use std::sync::Arc;

use rustls::CertificateError;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::crypto::ring;
use rustls::server::ParsedCertificate;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::ServerName;
use rustls_pki_types::UnixTime;
use rustls_pki_types::pem::PemObject;
pub use tokio_rustls::TlsConnector;

/// TLS with a server that proves its name to Mozilla's roots, or to one of the PEM file's certificates besides, or that has one of
/// these itself.
///
/// # Errors
/// A sentence, when the file cannot be used.
pub fn verified(extra_roots: Option<&Path>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let mut named = Vec::new();
    if let Some(path) = extra_roots {
        let refused = |why: String| {
            format!(
                "tls_ca: {} is no file of PEM certificates: {why}",
                path.display()
            )
        };
        let certificates =
            CertificateDer::pem_file_iter(path).map_err(|err| refused(err.to_string()))?;
        let known = roots.len();
        for certificate in certificates {
            let certificate = certificate.map_err(|err| refused(err.to_string()))?;
            roots
                .add(certificate.clone())
                .map_err(|err| refused(err.to_string()))?;
            named.push(certificate);
        }
        if roots.len() == known {
            return Err(refused("none found".into()));
        }
    }
    if named.is_empty() {
        return connector(|config| config.with_root_certificates(roots).with_no_client_auth());
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::new(ring::default_provider()),
    )
    .build();
    let verifier = Arc::new(PinnedVerifier {
        inner: verifier.map_err(|err| format!("TLS cannot be set up: {err}"))?,
        named,
    });
    connector(|config| {
        config
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth()
    })
}

/// TLS with whoever answers: for mail that would else go out in the clear (RFC 7435). An eavesdropper is kept out,
/// a man in the middle is not; he could have struck out the offer of STARTTLS just as well.
pub fn unverified() -> Result<TlsConnector, String> {
    let verifier = Arc::new(AcceptAnyVerifier(
        ring::default_provider().signature_verification_algorithms,
    ));
    connector(|config| {
        config
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth()
    })
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn connector(finish: impl FnOnce(Builder) -> ClientConfig) -> Result<TlsConnector, String> {
    // The provider is named rather than found: a second one in the build would turn finding it into a panic.
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|err| format!("TLS cannot be set up: {err}"))?;
    Ok(TlsConnector::from(Arc::new(finish(builder))))
}

/// Trusts the usual roots, and a server that has one of the named certificates itself though that is marked as an authority's
/// (`CA:TRUE`), as `openssl req -x509` marks every certificate that it makes. webpki wants a server's own to be none.
#[derive(Debug)]
struct PinnedVerifier {
    inner: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // Its dates were looked at before this was found; its name was not.
            Err(fault) if self.named.contains(end_entity) && is_marked_as_authority(&fault) => {
                verify_name(end_entity, server_name).map(|()| ServerCertVerified::assertion())
            }
            // Without any name in it, as older recipes make it, it can only be meant for the server whose setting names it.
            Err(fault) if self.named.contains(end_entity) && has_no_name(&fault) => {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn verify_name(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
) -> Result<(), rustls::Error> {
    match rustls::client::verify_server_name(&ParsedCertificate::try_from(certificate)?, name) {
        Err(fault) if has_no_name(&fault) => Ok(()),
        verified => verified,
    }
}

fn is_marked_as_authority(fault: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = fault else {
        return false;
    };
    matches!(
        other.0.downcast_ref::<webpki::Error>(),
        Some(webpki::Error::CaUsedAsEndEntity)
    )
}

fn has_no_name(fault: &rustls::Error) -> bool {
    matches!(fault, rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) if presented.is_empty())
}

/// Takes any certificate for any name, but wants its owner on the line: the handshake's signatures are checked.
#[derive(Debug)]
struct AcceptAnyVerifier(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AcceptAnyVerifier {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A self-signed certificate for these names, marked as an authority's or not.
    fn made(names: &[&str], is_authority: bool) -> CertificateDer<'static> {
        let mut terms = rcgen::CertificateParams::new(
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        )
        .expect("names");
        if is_authority {
            terms.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        }
        (terms.not_before, terms.not_after) = (
            rcgen::date_time_ymd(2020, 1, 1),
            rcgen::date_time_ymd(2030, 1, 1),
        );
        terms
            .self_signed(&rcgen::KeyPair::generate().expect("a key"))
            .expect("a certificate")
            .der()
            .clone()
    }

    /// True if a server with that certificate is trusted where this one is named.
    fn trusts(
        named: &CertificateDer<'static>,
        shown: &CertificateDer<'static>,
        host: &str,
        year: u64,
    ) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(named.clone()).expect("a root");
        let inner = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::new(ring::default_provider()),
        )
        .build();
        let verifier = PinnedVerifier {
            inner: inner.expect("a verifier"),
            named: vec![named.clone()],
        };
        let host = ServerName::try_from(host.to_owned()).expect("a name");
        let now =
            UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_557_600 + 86_400));
        verifier
            .verify_server_cert(shown, &[], &host, &[], now)
            .is_ok()
    }

    #[test]
    fn a_named_certificate_is_trusted_by_its_owner_name_and_time_alone() {
        for is_authority in [true, false] {
            let (ours, other) = (
                made(&["mail.example"], is_authority),
                made(&["mail.example"], is_authority),
            );
            assert!(trusts(&ours, &ours, "mail.example", 2026));
            assert!(!trusts(&ours, &ours, "other.example", 2026), "another name");
            assert!(!trusts(&ours, &ours, "mail.example", 2031), "over");
            assert!(
                !trusts(&ours, &other, "mail.example", 2026),
                "another certificate of the same name"
            );
            let nameless = made(&[], is_authority);
            assert!(
                trusts(&nameless, &nameless, "mail.example", 2026),
                "it can only be meant for the server whose setting names it"
            );
            assert!(!trusts(
                &nameless,
                &made(&[], is_authority),
                "mail.example",
                2026
            ));
        }
    }
}
