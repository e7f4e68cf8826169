use std::fmt;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A certificate authority for one test run: made anew each time, trusted by nobody who is not told to.
///
/// For tests of what a client must refuse: [`issue_expired`](TestCa::issue_expired),
/// [`issue_not_yet_valid`](TestCa::issue_not_yet_valid), a certificate for another name, and one of another `TestCa`.
///
/// ```
/// use secrets_testkit::wire::TestCa;
///
/// let ca = TestCa::new();
/// let issued = ca.issue(["localhost", "127.0.0.1", "*.vault.azure.net"]);
/// let server = issued.server_config();
/// assert!(ca.pem().starts_with("-----BEGIN CERTIFICATE-----"));
/// # let _ = server;
/// ```
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

impl TestCa {
    /// A new authority with a new key.
    ///
    /// # Panics
    ///
    /// When the machine has no randomness.
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        // Of two authorities with one name, the wrong one would be found and its signature be called bad.
        let id = params.key_identifier(&key);
        name(&mut params, &format!("secrets test CA {:02x?}", &id[..4]));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid(&mut params, 2000, 2049);
        let certificate = params.self_signed(&key).expect("an authority can sign itself");
        Self {
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A server's certificate for these names: host names, with a leading `*.` or not, and IP addresses.
    ///
    /// # Panics
    ///
    /// When a name is not ASCII.
    pub fn issue<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) -> Issued {
        self.sign(&params(names, ExtendedKeyUsagePurpose::ServerAuth))
    }

    /// The same, which ended long ago.
    ///
    /// # Panics
    ///
    /// When a name is not ASCII.
    pub fn issue_expired<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) -> Issued {
        let mut params = params(names, ExtendedKeyUsagePurpose::ServerAuth);
        valid(&mut params, 2000, 2001);
        self.sign(&params)
    }

    /// The same, which begins in the far future.
    ///
    /// # Panics
    ///
    /// When a name is not ASCII.
    pub fn issue_not_yet_valid<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) -> Issued {
        let mut params = params(names, ExtendedKeyUsagePurpose::ServerAuth);
        valid(&mut params, 2048, 2049);
        self.sign(&params)
    }

    /// A client's certificate with this common name.
    ///
    /// # Panics
    ///
    /// When the name is not ASCII.
    pub fn issue_client(&self, common_name: &str) -> Issued {
        let mut params = params([common_name], ExtendedKeyUsagePurpose::ClientAuth);
        name(&mut params, common_name);
        self.sign(&params)
    }

    /// The authority's certificate, as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The authority's certificate, as DER.
    pub fn der(&self) -> &[u8] {
        &self.certificate
    }

    /// What a client needs to trust this authority and no other.
    ///
    /// # Panics
    ///
    /// Never, for a certificate made here.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.2 and 1.3")
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        Arc::new(config)
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.certificate.clone())
            .expect("the authority is a certificate");
        Arc::new(roots)
    }

    fn sign(&self, params: &CertificateParams) -> Issued {
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("the authority can sign");
        Issued {
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            key_pem: key.serialize_pem(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        }
    }
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TestCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestCa").finish_non_exhaustive()
    }
}

/// A certificate with its key.
pub struct Issued {
    certificate: CertificateDer<'static>,
    pem: String,
    key: PrivatePkcs8KeyDer<'static>,
    key_pem: String,
}

impl Issued {
    /// The certificate, as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The certificate, as DER.
    pub fn der(&self) -> &[u8] {
        &self.certificate
    }

    /// The private key, as PKCS #8 PEM.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// What a server needs to present this certificate: TLS 1.2 and 1.3, HTTP/1.1.
    ///
    /// # Panics
    ///
    /// Never, for a certificate made here.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.2 and 1.3")
            .with_no_client_auth();
        self.present(config)
    }

    /// The same, for clients with and without a certificate of `clients`. The handler sees which; see
    /// [`Connection`](super::Connection).
    ///
    /// # Panics
    ///
    /// Never, for certificates made here.
    pub fn server_config_for_clients_of(&self, clients: &TestCa) -> Arc<ServerConfig> {
        let verifier = WebPkiClientVerifier::builder_with_provider(clients.roots(), provider())
            .allow_unauthenticated()
            .build()
            .expect("the authority is a root");
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.2 and 1.3")
            .with_client_cert_verifier(verifier);
        self.present(config)
    }

    /// The same as [`server_config`](Issued::server_config), with TLS 1.3 switched off.
    ///
    /// # Panics
    ///
    /// Never, for a certificate made here.
    pub fn server_config_tls12(&self) -> Arc<ServerConfig> {
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .expect("the provider has TLS 1.2")
            .with_no_client_auth();
        self.present(config)
    }

    fn present(
        &self,
        config: rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>,
    ) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::Pkcs8(self.key.clone_key());
        let mut config = config
            .with_single_cert(vec![self.certificate.clone()], key)
            .expect("the key is the certificate's");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").finish_non_exhaustive()
    }
}

/// Passed in, never installed: a process-wide default would hide that a backend relies on one.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn params<N: Into<String>>(
    names: impl IntoIterator<Item = N>,
    usage: ExtendedKeyUsagePurpose,
) -> CertificateParams {
    let names: Vec<String> = names.into_iter().map(Into::into).collect();
    let mut params = CertificateParams::new(names).expect("names are ASCII");
    name(&mut params, "secrets test");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, 2000, 2049);
    params
}

fn name(params: &mut CertificateParams, common_name: &str) {
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
}

fn valid(params: &mut CertificateParams, from: i32, to: i32) {
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
}
