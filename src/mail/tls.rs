//! Whom TLS trusts.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::crypto::ring;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::ServerName;
use rustls_pki_types::UnixTime;
use rustls_pki_types::pem::PemObject;
use tokio_rustls::TlsConnector;

/// TLS with a server that proves its name to Mozilla's roots, or to one of the PEM file's certificates besides.
/// The error is a sentence.
pub(super) fn verified(extra_roots: Option<&Path>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = extra_roots {
        let refused = |why: String| format!("tls_ca: {} is no file of PEM certificates: {why}", path.display());
        let certificates = CertificateDer::pem_file_iter(path).map_err(|err| refused(err.to_string()))?;
        let known = roots.len();
        for certificate in certificates {
            let added = certificate.map_err(|err| err.to_string()).and_then(|der| roots.add(der).map_err(|err| err.to_string()));
            added.map_err(refused)?;
        }
        if roots.len() == known {
            return Err(refused("none found".into()));
        }
    }
    connector(|config| config.with_root_certificates(roots).with_no_client_auth())
}

/// TLS with whoever answers: for mail that would else go out in the clear (RFC 7435). An eavesdropper is kept out,
/// a man in the middle is not; he could have struck out the offer of STARTTLS just as well.
pub(super) fn unverified() -> Result<TlsConnector, String> {
    let verifier = Arc::new(Anyone(ring::default_provider().signature_verification_algorithms));
    connector(|config| config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn connector(finish: impl FnOnce(Builder) -> ClientConfig) -> Result<TlsConnector, String> {
    // The provider is named rather than found: a second one in the build would turn finding it into a panic.
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|err| format!("TLS cannot be set up: {err}"))?;
    Ok(TlsConnector::from(Arc::new(finish(builder))))
}

/// Takes any certificate for any name, but wants its owner on the line: the handshake's signatures are checked.
#[derive(Debug)]
struct Anyone(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anyone {
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
