//! TLS: whom to trust, and by which cryptography.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;

/// A configuration that trusts this machine's roots (or the well-known ones where it has none) and `more`.
///
/// The cryptography is named here rather than taken from the process: two crates that each bring their own would
/// otherwise panic at run time.
pub(crate) fn tls_config(more: &[Vec<u8>]) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    let (known, _) = roots.add_parsable_certificates(native.certs);
    if known == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for der in more {
        roots.add(CertificateDer::from_slice(der))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
