//! The TLS probe: a handshake, a certificate that is trusted, and days until it expires.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::duration::spell;
use crate::runtime::encrypted::validity;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::failure::date;
use crate::runtime::probe::line::Line;
use crate::runtime::probe::outcome::Success;
use crate::runtime::probe::progress::Phase;
use crate::runtime::probe::progress::Progress;

/// HTTP/2 (RFC 9113 section 3.2).
pub(in crate::runtime::probe) const HTTP_2: &[u8] = b"h2";

/// A day.
const DAY: u64 = 86_400;

/// The client's side of a handshake.
#[derive(Debug)]
pub(in crate::runtime::probe) struct Handshake {
    pub(in crate::runtime::probe) server_name: ServerName<'static>,
    pub(in crate::runtime::probe) client: Arc<ClientConfig>,
    /// How long the certificate must still hold.
    pub(in crate::runtime::probe) min_validity: Duration,
}

impl Handshake {
    pub(super) async fn run(
        &self,
        line: Line,
        progress: &mut Progress,
    ) -> Result<Success, ProbeFailure> {
        let stream = line.connect().await?;
        let (_, success) = self.shake(stream, progress).await?;
        progress.enter(Phase::AwaitingResponse);
        Ok(success)
    }

    /// Shakes hands over a fresh connection, and judges the certificate.
    pub(super) async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        progress: &mut Progress,
    ) -> Result<(TlsStream<S>, Success), ProbeFailure> {
        progress.enter(Phase::Handshake);
        let stream = TlsConnector::from(Arc::clone(&self.client))
            .connect(self.server_name.clone(), stream)
            .await
            .map_err(|error| ProbeFailure::from_io(&error, Phase::Handshake))?;
        let (_, session) = stream.get_ref();
        let offered = self.client.alpn_protocols.first();
        if offered.is_some_and(|offered| offered == HTTP_2)
            && session.alpn_protocol() != Some(HTTP_2)
        {
            return Err(ProbeFailure::Tls("backend does not offer HTTP/2".into()));
        }
        let certificate = session.peer_certificates().and_then(|chain| chain.first());
        let until = certificate.and_then(|certificate| validity::read(certificate));
        let until = until.map(|times| u64::try_from(*times.end()).unwrap_or(0));
        let success = self.judge(until, SystemTime::now())?;
        Ok((stream, success))
    }

    /// Whether a certificate that holds `until`, in seconds since 1970, holds long enough.
    fn judge(&self, until: Option<u64>, now: SystemTime) -> Result<Success, ProbeFailure> {
        let Some(until) = until else {
            return match self.min_validity {
                Duration::ZERO => Ok(Success::default()),
                _ => Err(ProbeFailure::Certificate("it does not say when it expires".into())),
            };
        };
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let left = Duration::from_secs(until).saturating_sub(now);
        let days = left.as_secs() / DAY;
        let days = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        if left < self.min_validity {
            let (date, wanted) = (date(until), spell(self.min_validity));
            let text = format!("expires {date}, in {days}; it must hold for {wanted}");
            return Err(ProbeFailure::Certificate(text.into()));
        }
        Ok(Success::noted(format!("certificate expires in {days}")))
    }
}
