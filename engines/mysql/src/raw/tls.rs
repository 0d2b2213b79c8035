//! TLS by rustls: what each mode trusts.

use std::sync::Arc;

use backstay_engine_api::{EngineError, ErrorKind, Tls, TlsMode};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::session::tls::read_pem;

/// How to encrypt; `None` for not at all.
///
/// Only the authorities in `tls.ca` are trusted: verify-ca takes whatever certificate they signed, verify-identity one for the
/// host's name. The other modes encrypt and verify nothing.
pub(super) fn config(tls: &Tls) -> Result<Option<Arc<ClientConfig>>, EngineError> {
    if tls.mode == TlsMode::Disabled {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    let builder = match (tls.mode, &tls.ca) {
        (TlsMode::VerifyIdentity, Some(_)) => builder.with_root_certificates(authorities(tls)?),
        (TlsMode::VerifyCa, Some(_)) => {
            let roots = Some(authorities(tls)?);
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyName { roots, provider }))
        }
        (TlsMode::VerifyIdentity | TlsMode::VerifyCa, None) => {
            return Err(EngineError::new(
                ErrorKind::Usage,
                "TLS that verifies the server needs tls.ca, and none is given",
            ));
        }
        (TlsMode::Preferred | TlsMode::Required | TlsMode::Disabled, _) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyName { roots: None, provider })),
    };
    let config = match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => {
            let chain = certificates(&read_pem("tls.cert", cert, "CERTIFICATE")?)
                .map_err(|error| unreadable("tls.cert", &error))?;
            let key = PrivateKeyDer::from_pem_slice(&read_pem("tls.key", key, "PRIVATE KEY")?)
                .map_err(|error| unreadable("tls.key", &error))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| unusable(&error))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Some(Arc::new(config)))
}

fn authorities(tls: &Tls) -> Result<RootCertStore, EngineError> {
    let mut roots = RootCertStore::empty();
    if let Some(ca) = &tls.ca {
        let pem = read_pem("tls.ca", ca, "CERTIFICATE")?;
        for certificate in certificates(&pem).map_err(|error| unreadable("tls.ca", &error))? {
            roots.add(certificate).map_err(|error| unreadable("tls.ca", &error))?;
        }
    }
    Ok(roots)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

fn unreadable(setting: &str, error: &(dyn std::error::Error + 'static)) -> EngineError {
    EngineError::new(ErrorKind::Usage, format!("{setting} can not be read")).because(error)
}

fn unusable(error: &Error) -> EngineError {
    EngineError::new(ErrorKind::Usage, "the TLS settings can not be used")
        .because(error)
        .advise("check that tls.cert and tls.key belong together")
}

/// Takes a certificate whatever name it is for: one of these authorities', or anybody's.
#[derive(Debug)]
struct AnyName {
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(certificate)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Who the certificate's owner is makes no difference where anybody's will do, and servers' own certificates may be
        // of a form that this library does not read.
        if self.roots.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.roots.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
