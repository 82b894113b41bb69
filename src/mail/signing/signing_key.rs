//! The private half of a DKIM key: read, made, and what DNS has to say of it.
//!
//! aws-lc-rs does the arithmetic, though TLS here is ring's. RSA is what a signed send costs: with 2048 bits 233 us in
//! aws-lc-rs and 242 in OpenSSL on a processor with AVX-512 IFMA, which ring does not use and takes 562; elsewhere the three
//! are alike. And ring makes no RSA keys. The `rsa` crate, with which mail-auth would make them, has RUSTSEC-2023-0071 open;
//! offline it would do no harm, yet signs in 3 ms. rustls is built without aws-lc, so TLS stays as it is; the price is up to a
//! minute of C in a cold build.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

/// Kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// `rsa-sha256` (RFC 6376 3.3.1), with 2048 bits: what every server knows.
    Rsa,
    /// `ed25519-sha256` (RFC 8463): short and quick, and not known to all; beside the other, never instead of it.
    Ed25519,
}

impl Algorithm {
    /// The `a=` tag of a signature.
    pub(in crate::mail) fn tag(self) -> &'static str {
        match self {
            Self::Rsa => "rsa-sha256",
            Self::Ed25519 => "ed25519-sha256",
        }
    }

    /// The `k=` tag of a record.
    pub(in crate::mail) fn key_type(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// A private key. No `Debug`, so that it cannot be logged.
pub(in crate::mail) enum SigningKey {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Longest signature: RSA with 4096 bits.
pub(in crate::mail) const LONGEST_SIGNATURE: usize = 512;
/// A PEM file of a key with 4096 bits has 3.3 KB.
const LONGEST_FILE: u64 = 64 * 1024;

impl SigningKey {
    /// Reads a PEM file. The error is the second half of a sentence about that file.
    pub(in crate::mail) fn read(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
        refuse_unsafe(&file, path)?;
        let mut pem = Vec::new();
        file.take(LONGEST_FILE)
            .read_to_end(&mut pem)
            .map_err(|error| format!("cannot be read: {error}"))?;
        Self::from_pem(&pem)
    }

    /// PKCS#8 for both kinds, PKCS#1 for RSA.
    fn from_pem(pem: &[u8]) -> Result<Self, String> {
        if memchr::memmem::find(pem, b"ENCRYPTED").is_some() {
            return Err("is encrypted; take the password off with `openssl pkey`, for nobody is there to type it".into());
        }
        let key = PrivateKeyDer::from_pem_slice(pem);
        let key = key.map_err(|_| "holds no private key in PEM (-----BEGIN PRIVATE KEY----- or BEGIN RSA PRIVATE KEY)")?;
        let key = match &key {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der())
                .ok()
                .map(Self::Rsa),
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                let rsa = RsaKeyPair::from_pkcs8(der).ok().map(Self::Rsa);
                rsa.or_else(|| {
                    Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                        .ok()
                        .map(Self::Ed25519)
                })
            }
            _ => None,
        };
        // RFC 8301 3.2: signers should use at least 2048 bits; verifiers need not know more than 4096.
        let is_short_enough = |key: &Self| key.signature_length() <= LONGEST_SIGNATURE;
        key.filter(is_short_enough).ok_or_else(|| {
            "holds a key that DKIM cannot use: it takes RSA with 2048 to 4096 bits, or Ed25519"
                .into()
        })
    }

    /// Makes a key, and its PEM (PKCS#8), by the system's randomness.
    pub(in crate::mail) fn generate(algorithm: Algorithm) -> Result<(Self, String), Unspecified> {
        let (key, der) = match algorithm {
            Algorithm::Rsa => {
                let key = RsaKeyPair::generate(KeySize::Rsa2048)?;
                let der: Pkcs8V1Der<'_> = key.as_der()?;
                let der = der.as_ref().to_vec();
                (Self::Rsa(key), der)
            }
            Algorithm::Ed25519 => {
                let key = Ed25519KeyPair::generate()?;
                // Version 1, for OpenSSL does not read the other.
                let der = key.to_pkcs8v1()?.as_ref().to_vec();
                (Self::Ed25519(key), der)
            }
        };
        let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
        for line in STANDARD.encode(der).as_bytes().chunks(64) {
            pem.extend(line.iter().map(|byte| char::from(*byte)));
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok((key, pem))
    }

    pub(in crate::mail) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rsa,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    fn signature_length(&self) -> usize {
        match self {
            Self::Rsa(key) => key.public_modulus_len(),
            Self::Ed25519(_) => 64,
        }
    }

    /// Signs what a signature covers; its bytes are at the start of `room`, in the number that is given back.
    pub(in crate::mail) fn sign(
        &self,
        covered: &[u8],
        room: &mut [u8; LONGEST_SIGNATURE],
    ) -> Result<usize, Unspecified> {
        let length = self.signature_length();
        match self {
            // It takes its own randomness for blinding, whatever it is given.
            Self::Rsa(key) => key.sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                covered,
                &mut room[..length],
            )?,
            // RFC 8463 3: what is signed is the hash.
            Self::Ed25519(key) => {
                let signature = key.try_sign(digest::digest(&digest::SHA256, covered).as_ref())?;
                room[..length].copy_from_slice(signature.as_ref());
            }
        }
        Ok(length)
    }

    /// Returns what the TXT record has to say (RFC 6376 3.6.1, RFC 8463 4).
    pub(in crate::mail) fn record(&self) -> Result<String, Unspecified> {
        let public = match self {
            Self::Rsa(key) => {
                let der: PublicKeyX509Der<'_> = key.public_key().as_der()?;
                STANDARD.encode(der.as_ref())
            }
            Self::Ed25519(key) => STANDARD.encode(key.public_key().as_ref()),
        };
        Ok(format!(
            "v=DKIM1; k={}; p={public}",
            self.algorithm().key_type()
        ))
    }
}

/// Checks that nobody else on the machine can read the key: whoever has it can send in the domain's name. The group may read it: that is how
/// a file of root's is given to a service.
#[cfg(unix)]
fn refuse_unsafe(file: &File, path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let about = file
        .metadata()
        .map_err(|error| format!("cannot be read: {error}"))?;
    if !about.is_file() {
        return Err("is no file".into());
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o027 != 0 {
        return Err(format!(
            "can be read or changed by others (its mode is {mode:03o}); run `chmod 600 {}`",
            path.display()
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_unsafe(_: &File, _: &Path) -> Result<(), String> {
    Ok(())
}
