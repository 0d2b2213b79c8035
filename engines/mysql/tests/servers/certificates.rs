//! Certificates for the TLS tests, made anew for each.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// An authority, a server's certificate for 127.0.0.1 and `localhost`, a client's, and an authority that signed neither.
pub(crate) struct Certificates {
    directory: TempDir,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (ca, issuer) = authority("Test authority");
        write(directory.path(), "ca.pem", &ca);
        write(directory.path(), "other-ca.pem", &authority("Another authority").0);
        for (name, names) in [
            ("server", &["localhost", "127.0.0.1"][..]),
            ("elsewhere", &["db9.example"]),
            ("client", &[]),
        ] {
            let key = KeyPair::generate().unwrap();
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut params = CertificateParams::new(names).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &issuer).unwrap();
            write(directory.path(), &format!("{name}-cert.pem"), &certificate.pem());
            write(directory.path(), &format!("{name}-key.pem"), &key.serialize_pem());
        }
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Server arguments that use one of the certificates.
    pub(crate) fn server_args(&self, name: &str) -> Vec<String> {
        let of = |option: &str, file: String| format!("--ssl-{option}={}", self.path(&file).display());
        vec![
            of("ca", "ca.pem".into()),
            of("cert", format!("{name}-cert.pem")),
            of("key", format!("{name}-key.pem")),
        ]
    }
}

fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(params, key))
}

fn write(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).unwrap();
}
