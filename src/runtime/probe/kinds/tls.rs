//! The TLS probe: a handshake, a certificate that is trusted, and days until it expires.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::duration::spell;
use crate::runtime::encrypted::validity;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::failure::date;
use crate::runtime::probe::line::Line;
use crate::runtime::probe::line::Writes;
use crate::runtime::probe::meter::Meter;
use crate::runtime::probe::outcome::Success;
use crate::runtime::probe::progress::Phase;
use crate::runtime::probe::progress::Progress;
use crate::runtime::probe::sessions::Tickets;
use crate::runtime::probe::tls::Client;

/// HTTP/2 (RFC 9113 section 3.2).
pub(in crate::runtime::probe) const HTTP_2: &[u8] = b"h2";

/// A day.
const DAY: u64 = 86_400;

/// The client's side of a handshake.
#[derive(Debug)]
pub(in crate::runtime::probe) struct Handshake {
    pub(in crate::runtime::probe) server_name: ServerName<'static>,
    pub(in crate::runtime::probe) client: Arc<Client>,
    /// Of the target; without them no session is resumed.
    pub(in crate::runtime::probe) tickets: Option<Arc<Tickets>>,
    /// How long the certificate must still hold.
    pub(in crate::runtime::probe) min_validity: Duration,
}

/// A connection behind TLS.
pub(super) struct Shaken {
    pub(super) stream: TlsStream<Meter<TcpStream>>,
    /// What is to be told of the certificate.
    pub(super) success: Success,
    /// The certificates of a full handshake; `None` if a session was resumed.
    chain: Option<Vec<CertificateDer<'static>>>,
}

impl Shaken {
    /// Its parts: what is talked over, what is to be told, and what [`Handshake::settle`] wants.
    pub(super) fn split(
        self,
    ) -> (TlsStream<Meter<TcpStream>>, Success, Option<Vec<CertificateDer<'static>>>) {
        (self.stream, self.success, self.chain)
    }
}

impl Handshake {
    pub(super) async fn run(
        &self,
        line: Line,
        progress: &mut Progress,
    ) -> Result<Success, ProbeFailure> {
        let stream = line.connect(Writes::Once).await?;
        let shaken = self.shake(stream, progress).await?;
        progress.enter(Phase::AwaitingResponse);
        Ok(shaken.success)
    }

    /// Shakes hands over a fresh connection, and judges the certificate.
    pub(super) async fn shake(
        &self,
        stream: Meter<TcpStream>,
        progress: &mut Progress,
    ) -> Result<Shaken, ProbeFailure> {
        progress.enter(Phase::Handshake);
        let (config, stream) = match &self.tickets {
            Some(tickets) => {
                tickets.begin(UnixTime::now());
                (self.client.resuming(tickets), stream.counting_in(tickets.tally()))
            }
            None => (self.client.fresh(), stream),
        };
        let stream = TlsConnector::from(config)
            .connect(self.server_name.clone(), stream)
            .await
            .map_err(|error| ProbeFailure::from_io(&error, Phase::Handshake))?;
        let (_, session) = stream.get_ref();
        if self.client.offered() == Some(HTTP_2) && session.alpn_protocol() != Some(HTTP_2) {
            return Err(ProbeFailure::Tls("backend does not offer HTTP/2".into()));
        }
        let chain = session.peer_certificates();
        let certificate = chain.and_then(|chain| chain.first());
        let until = certificate.and_then(|certificate| validity::read(certificate));
        let until = until.map(|times| u64::try_from(*times.end()).unwrap_or(0));
        progress.seen.certificate_until_s = until;
        let success = self.judge(until, SystemTime::now())?;
        let is_resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let is_wanted = !is_resumed && self.tickets.is_some();
        let chain = chain.filter(|_| is_wanted).map(<[_]>::to_vec);
        Ok(Shaken { stream, success, chain })
    }

    /// After the talk, with which tickets come: judges whether what was seen lasts for sessions that are resumed.
    pub(super) fn settle(&self, chain: Option<Vec<CertificateDer<'static>>>) {
        let (Some(tickets), Some(chain)) = (&self.tickets, chain) else { return };
        if tickets.has_ticket() {
            let now = UnixTime::now();
            tickets.judge(self.client.is_good_ahead(&chain, &self.server_name, now), now);
        }
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
