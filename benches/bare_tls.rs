//! The least that carries a file safely: TLS 1.3 as the link speaks it, buffers of 256 KiB, and nothing else. What
//! `homie` is measured against on the same path: `bare_tls receive ADDR FILE` there, `bare_tls send ADDR FILE` here.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;

use anyhow::Context;
use homie::identity::Identity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The size at which TLS over a veth was fastest when measured; the link's frames have it, too.
const BUFFER: usize = 256 << 10;

/// Takes any key: what is measured is the stream, not trust.
#[derive(Debug)]
struct AnyKey(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyKey {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(message, &SubjectPublicKeyInfoDer::from(key.as_ref()), signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

async fn receive(addr: &str, path: &str) -> anyhow::Result<()> {
    let identity = Identity::ephemeral()?;
    let key = CertifiedKey::new(vec![CertificateDer::from(identity.spki().to_vec())], identity.signing_key());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::new(key))));
    let listener = TcpListener::bind(addr).await?;
    let (stream, _) = listener.accept().await?;
    let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await?;
    let mut file = File::create(path)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count])?;
    }
    stream.write_all(b"!").await?;
    stream.shutdown().await?;
    Ok(())
}

async fn send(addr: &str, path: &str) -> anyhow::Result<()> {
    let provider = Arc::new(ring::default_provider());
    let check = Arc::new(AnyKey(provider.signature_verification_algorithms));
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(check)
        .with_no_client_auth();
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("bare")?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let mut file = File::open(path)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        stream.write_all(&buffer[..count]).await?;
    }
    stream.shutdown().await?;
    let mut done = [0; 1];
    stream.read_exact(&mut done).await?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["receive", addr, path] => receive(addr, path).await.context("receive"),
        ["send", addr, path] => send(addr, path).await.context("send"),
        _ => anyhow::bail!("bare_tls receive|send ADDR FILE"),
    }
}
