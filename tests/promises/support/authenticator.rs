//! An authenticator in software (WebAuthn, 6): it keeps one key and answers as told, rightly or wrongly.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

/// Somebody was there, and who it is was checked.
pub const VERIFIED: u8 = 0b101;
/// Somebody was there.
pub const PRESENT: u8 = 0b001;
/// The key may be part of a backup.
pub const BACKUP_ELIGIBLE: u8 = 0b1000;
const NEW_KEY: u8 = 0b100_0000;

pub struct Authenticator {
    key: EcdsaKeyPair,
    pub id: Vec<u8>,
    /// The user's handle, in base64url.
    pub handle: Option<String>,
    pub counter: u32,
    pub origin: String,
    pub rp_id: String,
    pub flags: u8,
    /// Answers `credProps.rk`.
    pub is_discoverable: Option<bool>,
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A byte string of CBOR (RFC 8949, 3.1).
fn cbor_bytes(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a short one");
    let mut cbor = vec![0x59];
    cbor.extend(length.to_be_bytes());
    cbor.extend(bytes);
    cbor
}

/// A short text of CBOR.
fn cbor_text(text: &str) -> Vec<u8> {
    let mut cbor = vec![0x60 | u8::try_from(text.len()).expect("a short one")];
    cbor.extend(text.as_bytes());
    cbor
}

impl Authenticator {
    pub fn at(origin: &str, rp_id: &str) -> Self {
        Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"),
            id: rand::random::<[u8; 32]>().to_vec(),
            handle: None,
            counter: 0,
            origin: origin.into(),
            rp_id: rp_id.into(),
            flags: VERIFIED,
            is_discoverable: Some(true),
        }
    }

    fn client_data(&self, kind: &str, options: &Value) -> String {
        json!({ "type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": false }).to_string()
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        let mut data = sha256(self.rp_id.as_bytes());
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// Makes the key that `navigator.credentials.create` is asked for.
    pub fn create(&mut self, options: &Value) -> String {
        self.handle = options["user"]["id"].as_str().map(String::from);
        let mut data = self.data(self.flags | NEW_KEY);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).expect("short").to_be_bytes());
        data.extend(&self.id);
        // COSE: EC2, ES256, P-256, and both coordinates.
        let point = self.key.public_key().as_ref();
        data.extend([0xA5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21]);
        data.extend(cbor_bytes(&point[1..33]));
        data.push(0x22);
        data.extend(cbor_bytes(&point[33..65]));
        let mut object = vec![0xA3];
        object.extend(cbor_text("fmt"));
        object.extend(cbor_text("none"));
        object.extend(cbor_text("attStmt"));
        object.push(0xA0);
        object.extend(cbor_text("authData"));
        object.extend(cbor_bytes(&data));
        let client = self.client_data("webauthn.create", options);
        json!({
            "id": encoded(&self.id), "rawId": encoded(&self.id), "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": self.is_discoverable.map_or(json!({}), |rk| json!({ "credProps": { "rk": rk } })),
            "response": { "attestationObject": encoded(&object), "clientDataJSON": encoded(client.as_bytes()), "transports": ["internal"] },
        })
        .to_string()
    }

    /// Signs what `navigator.credentials.get` is asked for.
    pub fn get(&mut self, options: &Value) -> String {
        let data = self.data(self.flags);
        let client = self.client_data("webauthn.get", options);
        let mut signed = data.clone();
        signed.extend(sha256(client.as_bytes()));
        let signature = self
            .key
            .sign(&SystemRandom::new(), &signed)
            .expect("signed");
        json!({
            "id": encoded(&self.id), "rawId": encoded(&self.id), "type": "public-key", "clientExtensionResults": {},
            "response": {
                "authenticatorData": encoded(&data), "clientDataJSON": encoded(client.as_bytes()),
                "signature": encoded(signature.as_ref()), "userHandle": self.handle,
            },
        })
        .to_string()
    }
}
