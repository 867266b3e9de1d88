//! A probe made ready: everything that can be decided before it runs, and the run itself.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::model::Check;
use crate::model::CheckKind;
use crate::model::HttpCheck;
use crate::model::TlsCheck;
use crate::runtime::probe::deadline::Deadline;
use crate::runtime::probe::failure::Phase;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::http::Exchange;
use crate::runtime::probe::meter::Meter;
use crate::runtime::probe::sessions::Tickets;
use crate::runtime::probe::tcp;
use crate::runtime::probe::tls;
use crate::runtime::probe::tls::Client;
use crate::runtime::probe::tls::SystemRoots;

/// Octets that one probe reads from the network, at most: header block, body, and room for a chain of
/// certificates and for chunk marks.
const WIRE_MAX: usize = 128 * 1024;

/// What one probe does.
#[derive(Debug)]
pub(super) struct Plan {
    address: SocketAddr,
    timeout: Duration,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Tcp,
    Http(Exchange),
    Https(Exchange, Handshake),
    /// Each probe fails with this reason.
    Broken(ProbeFailure),
}

/// The client's side of a TLS handshake.
#[derive(Debug)]
struct Handshake {
    server_name: ServerName<'static>,
    client: Arc<Client>,
    /// Of the target; without them no session is resumed.
    tickets: Option<Arc<Tickets>>,
}

impl Plan {
    /// Resumes sessions of the target whose tickets these are, if it speaks TLS.
    pub(super) fn resume(&mut self, tickets: &mut Option<Arc<Tickets>>) {
        match &mut self.kind {
            Kind::Https(_, handshake) => {
                handshake.tickets = Some(Arc::clone(tickets.get_or_insert_default()));
            }
            Kind::Tcp | Kind::Http(_) | Kind::Broken(_) => {}
        }
    }
}

impl Handshake {
    /// Opens TLS over a connection.
    async fn run(
        &self,
        stream: Meter<TcpStream>,
    ) -> Result<TlsStream<Meter<TcpStream>>, ProbeFailure> {
        let (config, stream) = match &self.tickets {
            Some(tickets) => {
                tickets.begin(UnixTime::now());
                (self.client.resuming(tickets), stream.counting_in(tickets.tally()))
            }
            None => (self.client.fresh(), stream),
        };
        TlsConnector::from(config)
            .connect(self.server_name.clone(), stream)
            .await
            .map_err(|error| ProbeFailure::from_io(&error, Phase::Handshake))
    }

    /// The certificates of a full handshake; `None` if a session was resumed.
    fn chain(&self, stream: &TlsStream<Meter<TcpStream>>) -> Option<Vec<CertificateDer<'static>>> {
        let connection = stream.get_ref().1;
        let is_full = connection.handshake_kind() != Some(HandshakeKind::Resumed);
        connection.peer_certificates().filter(|_| is_full).map(<[_]>::to_vec)
    }

    /// After the exchange: judges whether what was seen of the certificate lasts for resumed sessions.
    fn judge(&self, chain: Option<Vec<CertificateDer<'static>>>) {
        let (Some(tickets), Some(chain)) = (&self.tickets, chain) else { return };
        if tickets.has_ticket() {
            let now = UnixTime::now();
            tickets.judge(self.client.is_good_ahead(&chain, &self.server_name, now), now);
        }
    }
}

#[cfg(test)]
impl Plan {
    /// Tells tests which target is probed.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Runs a probe, until its deadline at most.
pub(super) async fn probe(plan: Plan, deadline: Deadline) -> Result<(), ProbeFailure> {
    let (after, mut phase) = (plan.timeout, Phase::Connecting);
    let outcome = tokio::select! {
        biased;
        outcome = attempt(plan, &mut phase) => Some(outcome),
        () = deadline => None,
    };
    outcome.unwrap_or(Err(ProbeFailure::TimedOut { after, phase }))
}

async fn attempt(plan: Plan, phase: &mut Phase) -> Result<(), ProbeFailure> {
    match plan.kind {
        Kind::Tcp => tcp::connect(plan.address).await.map(drop),
        Kind::Http(exchange) => {
            let stream = Meter::new(tcp::connect(plan.address).await?, WIRE_MAX);
            exchange.run(stream, phase).await
        }
        Kind::Https(exchange, handshake) => {
            let stream = Meter::new(tcp::connect(plan.address).await?, WIRE_MAX);
            *phase = Phase::Handshake;
            let stream = handshake.run(stream).await?;
            let chain = handshake.chain(&stream);
            let outcome = exchange.run(stream, phase).await;
            handshake.judge(chain);
            outcome
        }
        Kind::Broken(failure) => Err(failure),
    }
}

/// Makes plans; shares one TLS client among the targets of equal TLS settings.
#[derive(Default)]
pub(super) struct Planner {
    system: SystemRoots,
    clients: Vec<(TlsCheck, Result<Arc<Client>, ProbeFailure>)>,
}

impl Planner {
    pub(super) fn plan(&mut self, address: IpAddr, check: &Check) -> Plan {
        let address = SocketAddr::new(address, check.port);
        let kind = self.kind(address, &check.kind).unwrap_or_else(Kind::Broken);
        Plan { address, timeout: check.timeout, kind }
    }

    fn kind(&mut self, address: SocketAddr, kind: &CheckKind) -> Result<Kind, ProbeFailure> {
        Ok(match kind {
            CheckKind::Tcp => Kind::Tcp,
            CheckKind::Http(http) => Kind::Http(Exchange::new(http, address, 80)?),
            CheckKind::Https(http, tls) => {
                let handshake = Handshake {
                    server_name: server_name(http, tls, address.ip())?,
                    client: self.client(tls)?,
                    tickets: None,
                };
                Kind::Https(Exchange::new(http, address, 443)?, handshake)
            }
        })
    }

    fn client(&mut self, check: &TlsCheck) -> Result<Arc<Client>, ProbeFailure> {
        // `server_name` is no part of a client.
        let settings = TlsCheck { server_name: None, ..check.clone() };
        if let Some((_, client)) = self.clients.iter().find(|(known, _)| *known == settings) {
            return client.clone();
        }
        let client = tls::client(check, &mut self.system);
        self.clients.push((settings, client.clone()));
        client
    }
}

/// The name in SNI and certificate: the check's own, else the HTTP host, else the address (no SNI).
fn server_name(
    http: &HttpCheck,
    tls: &TlsCheck,
    address: IpAddr,
) -> Result<ServerName<'static>, ProbeFailure> {
    let host = http.host.as_deref().map(without_port);
    let Some(name) = tls.server_name.as_deref().or(host) else {
        return Ok(ServerName::from(address));
    };
    ServerName::try_from(name.to_owned())
        .map_err(|_| ProbeFailure::BadCheck(format!("{name:?} is not a TLS server name").into()))
}

/// `shop.test:8443` without its port, `[2001:db8::1]:8443` without brackets too.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::Kind;
    use super::Planner;
    use super::without_port;
    use crate::model::Check;
    use crate::model::CheckKind;
    use crate::model::HttpCheck;
    use crate::model::TlsCheck;
    use crate::runtime::probe::failure::ProbeFailure;
    use crate::runtime::probe::tls::install_crypto;
    use std::sync::Arc;
    use std::time::Duration;

    fn https(path: &str, host: Option<&str>) -> Check {
        let http = HttpCheck {
            host: host.map(Into::into),
            path: path.into(),
            status: vec![200..=200],
            body: None,
        };
        Check {
            name: "web".into(),
            kind: CheckKind::Https(
                http,
                TlsCheck { server_name: None, ca_pem: None, verify: false },
            ),
            port: 443,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            fall: 3,
            rise: 5,
            hold_down: Duration::ZERO,
            damping: None,
            jitter_percent: 0,
        }
    }

    #[test]
    fn targets_of_equal_tls_settings_share_one_client() {
        install_crypto();
        let mut planner = Planner::default();
        let mut client =
            |check: &Check, address: &str| match planner.plan(address.parse().unwrap(), check).kind
            {
                Kind::Https(_, handshake) => handshake.client,
                other => panic!("{other:?}"),
            };
        let one = client(&https("/a", Some("a.test")), "127.0.0.1");
        let other = client(&https("/b", None), "::1");
        assert!(Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn a_check_that_cannot_be_run_fails_with_its_reason() {
        install_crypto();
        for check in [https("no slash \u{7f}", None), https("/", Some("not a name"))] {
            let plan = Planner::default().plan("127.0.0.1".parse().unwrap(), &check);
            assert!(matches!(plan.kind, Kind::Broken(ProbeFailure::BadCheck(_))), "{plan:?}");
        }
    }

    #[test]
    fn a_port_is_no_part_of_the_server_name() {
        assert_eq!(without_port("shop.test"), "shop.test");
        assert_eq!(without_port("shop.test:8443"), "shop.test");
        assert_eq!(without_port("[2001:db8::1]:8443"), "2001:db8::1");
    }
}
