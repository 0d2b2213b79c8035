//! TLS for the driver: modes and PEM files.

use std::fs;
use std::path::Path;

use backstay_engine_api::{EngineError, ErrorKind, Tls, TlsMode};
use mysql::{ClientIdentity, SslOpts};

/// What the driver needs; `None` for no encryption.
///
/// NOTE: the driver always trusts the public authorities beside `ca`. With verify-identity that makes no difference
/// for a name that no public authority certifies for others; with verify-ca, which does not look at the name, a
/// certificate from any public authority passes. It is the driver's limit, and a reason to prefer verify-identity.
pub(super) fn options(tls: &Tls) -> Result<Option<SslOpts>, EngineError> {
    let verify = match tls.mode {
        TlsMode::Disabled => return Ok(None),
        TlsMode::Preferred | TlsMode::Required => false,
        TlsMode::VerifyCa | TlsMode::VerifyIdentity => true,
    };
    // The driver asks rustls for a default, which is ambiguous as soon as another crate of the same process brings a
    // second provider in. An error means that a default is set already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut options = SslOpts::default()
        .with_danger_accept_invalid_certs(!verify)
        .with_danger_skip_domain_validation(tls.mode == TlsMode::VerifyCa);
    if let Some(ca) = tls.ca.as_deref().filter(|_| verify) {
        read_pem("tls.ca", ca, "CERTIFICATE")?;
        options = options.with_root_cert_path(Some(ca.to_owned()));
    }
    if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
        read_pem("tls.cert", cert, "CERTIFICATE")?;
        read_pem("tls.key", key, "PRIVATE KEY")?;
        options = options.with_client_identity(Some(ClientIdentity::new(cert.clone(), key.clone())));
    }
    Ok(Some(options))
}

/// A PEM file with at least one section of that `kind`. Neither the driver's nor rustls' own message names the file.
pub(crate) fn read_pem(setting: &str, path: &Path, kind: &str) -> Result<Vec<u8>, EngineError> {
    let wrong = |what: &str| EngineError::new(ErrorKind::Usage, format!("{setting} {}: {what}", path.display()));
    let bytes = fs::read(path).map_err(|error| wrong("can not be read").because(&error))?;
    if String::from_utf8_lossy(&bytes).contains(kind) {
        Ok(bytes)
    } else {
        Err(wrong(&format!("expected a PEM file with a {kind}, found none in it")))
    }
}
