//! A probe made ready: everything that can be decided before it runs, and the run itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rustls::pki_types::ServerName;

use crate::config::node::default_node;
use crate::model::Check;
use crate::model::CheckKind;
use crate::model::Family;
use crate::model::HttpCheck;
use crate::model::HttpVersion;
use crate::model::ResolverSettings;
use crate::model::TargetKey;
use crate::model::TlsCheck;
use crate::runtime::probe::board::Board;
use crate::runtime::probe::deadline::Deadline;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::kinds::Kind;
use crate::runtime::probe::kinds::dns::Question;
use crate::runtime::probe::kinds::exec::Run;
use crate::runtime::probe::kinds::exec::Turns;
use crate::runtime::probe::kinds::file::LineOf;
use crate::runtime::probe::kinds::file::StateFile;
use crate::runtime::probe::kinds::grpc::Call;
use crate::runtime::probe::kinds::http::Exchange;
use crate::runtime::probe::kinds::http::Scheme;
use crate::runtime::probe::kinds::icmp::Echo;
use crate::runtime::probe::kinds::push::Listen;
use crate::runtime::probe::kinds::redirect;
use crate::runtime::probe::kinds::redirect::Trail;
use crate::runtime::probe::kinds::redirect::Walk;
use crate::runtime::probe::kinds::tcp::Conversation;
use crate::runtime::probe::kinds::tls::HTTP_2;
use crate::runtime::probe::kinds::tls::Handshake;
use crate::runtime::probe::kinds::udp::Datagrams;
use crate::runtime::probe::line::Line;
use crate::runtime::probe::outcome::Probed;
use crate::runtime::probe::outcome::Success;
use crate::runtime::probe::progress::Progress;
use crate::runtime::probe::progress::Seen;
use crate::runtime::probe::response::judge::Judge;
use crate::runtime::probe::sessions::Tickets;
use crate::runtime::probe::tap::Ear;
use crate::runtime::probe::tls;
use crate::runtime::probe::tls::Client;
use crate::runtime::probe::tls::SystemRoots;

/// What one probe does.
#[derive(Debug)]
pub(super) struct Plan {
    line: Line,
    timeout: Duration,
    invert: bool,
    kind: Kind,
}

impl Plan {
    /// Where it goes, and from where.
    pub(super) fn line(&self) -> Line {
        self.line
    }

    /// Resumes sessions of the target whose tickets these are, if more is said than a handshake.
    pub(super) fn resume(&mut self, tickets: &mut Option<Arc<Tickets>>) {
        match &mut self.kind {
            Kind::Https(_, handshake) | Kind::Grpcs(_, handshake) => {
                handshake.tickets = Some(Arc::clone(tickets.get_or_insert_default()));
            }
            Kind::Walk(walk) => walk.resume(tickets),
            // A check of the certificate itself looks at it each time.
            Kind::Tls(_)
            | Kind::Tcp(_)
            | Kind::Http(_)
            | Kind::Grpc(_)
            | Kind::Dns(_)
            | Kind::Udp(_)
            | Kind::Icmp(_)
            | Kind::Exec(_)
            | Kind::Push(_)
            | Kind::File(_)
            | Kind::Broken(_) => {}
        }
    }
}

#[cfg(test)]
impl Plan {
    /// Tells tests which target is probed.
    pub(super) fn address(&self) -> SocketAddr {
        self.line.address
    }
}

/// Runs a probe, until its deadline at most.
pub(super) fn probe(plan: Plan, deadline: Deadline) -> impl Future<Output = Probed> + Send {
    // Not in a future of its own, which would hold the plan twice.
    probe_and_tell(plan, deadline, None).map(|(probed, _)| probed)
}

/// The same with what it saw on its way, for somebody who listens.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn has its arguments twice, and the plan is large"
)]
pub(super) fn probe_and_tell(
    plan: Plan,
    deadline: Deadline,
    ear: Option<Ear>,
) -> impl Future<Output = (Probed, Seen)> + Send {
    async move {
        let mut progress = Progress::start(ear);
        let outcome = tokio::select! {
            biased;
            outcome = plan.kind.run(plan.line, &mut progress) => Some(outcome),
            () = deadline => None,
        };
        let after = plan.timeout;
        let outcome = outcome
            .unwrap_or_else(|| Err(ProbeFailure::TimedOut { after, phase: progress.phase() }));
        let outcome = if plan.invert { inverted(outcome) } else { outcome };
        (Probed { outcome, phases: progress.phases() }, progress.seen)
    }
}

/// The opposite; what says nothing of the target still says nothing.
fn inverted(outcome: Result<Success, ProbeFailure>) -> Result<Success, ProbeFailure> {
    match outcome {
        Ok(_) => Err(ProbeFailure::Inverted),
        Err(failure) if failure.is_local() => Err(failure),
        Err(failure @ (ProbeFailure::BadCheck(_) | ProbeFailure::Panicked(_))) => Err(failure),
        Err(failure) => Ok(Success::noted(format!("inverted: {failure}"))),
    }
}

/// Makes plans; shares what can be shared among targets of equal settings.
#[derive(Default)]
pub(super) struct Planner {
    system: SystemRoots,
    clients: Vec<(TlsCheck, Alpn, Result<Arc<Client>, ProbeFailure>)>,
    judges: HashMap<Box<str>, (HttpCheck, Arc<Judge>)>,
    shared: Shared,
}

/// What plans of several sets of targets share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    turns: Turns,
    pub(super) board: Arc<Board>,
    /// How names are resolved that redirects lead to.
    resolver: Arc<ResolverSettings>,
    files: Vec<Arc<StateFile>>,
}

impl Default for Shared {
    /// Names are resolved as where nothing is said.
    fn default() -> Self {
        let resolver = Arc::new(default_node().resolver);
        Self { turns: Turns::default(), board: Arc::default(), resolver, files: Vec::new() }
    }
}

/// What a client offers to speak behind TLS.
pub(super) type Alpn = &'static [u8];

/// HTTP/1.1 (RFC 7301).
const HTTP_1: Alpn = b"http/1.1";

impl Planner {
    /// A planner that shares what those before it shared.
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared, ..Self::default() }
    }

    /// The same with a board on which others report.
    pub(super) fn with_board(mut self, board: Arc<Board>) -> Self {
        self.shared.board = board;
        self
    }

    /// The same that resolves names as these settings say.
    pub(super) fn with_resolver(mut self, resolver: Arc<ResolverSettings>) -> Self {
        self.shared.resolver = resolver;
        self
    }

    /// What is to be shared with the next.
    pub(super) fn into_shared(mut self) -> Shared {
        // A file that no plan names any more is forgotten.
        self.shared.files.retain(|file| Arc::strong_count(file) > 1);
        self.shared
    }

    /// The plan of one probe; `key` is the target, or one of those that share the probe.
    pub(super) fn plan(&mut self, address: IpAddr, check: &Check, key: &TargetKey) -> Plan {
        let source = check.source.of(Family::of(address));
        let line = Line { address: SocketAddr::new(address, check.port), source };
        let kind = self.kind(line, key, check).unwrap_or_else(Kind::Broken);
        Plan { line, timeout: check.timeout, invert: check.invert, kind }
    }

    fn kind(&mut self, line: Line, key: &TargetKey, check: &Check) -> Result<Kind, ProbeFailure> {
        let address = line.address;
        Ok(match &check.kind {
            CheckKind::Tcp(talk) => Kind::Tcp(Conversation(talk.clone())),
            CheckKind::Tls(tls) => Kind::Tls(self.handshake(tls, None, address.ip(), &[])?),
            CheckKind::Http(http) => self.http(line, check, http, None)?,
            CheckKind::Https(http, tls) => self.http(line, check, http, Some(tls))?,
            CheckKind::Grpc(grpc) => Kind::Grpc(Call::new(grpc, address, Scheme::Http)?),
            CheckKind::Grpcs(grpc, tls) => {
                let handshake = self.handshake(tls, grpc.host.as_deref(), address.ip(), HTTP_2)?;
                Kind::Grpcs(Call::new(grpc, address, Scheme::Https)?, handshake)
            }
            CheckKind::Dns(dns) => Kind::Dns(Question::new(dns)?),
            CheckKind::Udp(talk) => Kind::Udp(Datagrams(talk.clone())),
            CheckKind::Icmp => Kind::Icmp(Echo),
            CheckKind::Exec(exec) => Kind::Exec(Run::new(exec, key, line, &self.shared.turns)?),
            CheckKind::Push(push) => Kind::Push(Listen {
                board: Arc::clone(&self.shared.board),
                check: (*check.name).into(),
                endpoint: (*key.endpoint).into(),
                silence: push.silence,
            }),
            // Its parts are probed.
            CheckKind::Composite(_) => {
                let text = "it is made of others and is not probed itself";
                return Err(ProbeFailure::BadCheck(text.into()));
            }
            CheckKind::File(file) => Kind::File(LineOf {
                file: self.file(&file.path),
                endpoint: (*key.endpoint).into(),
                silence: file.silence,
            }),
        })
    }

    /// One exchange, and what it redirects to if that is followed.
    fn http(
        &mut self,
        line: Line,
        check: &Check,
        http: &HttpCheck,
        tls: Option<&TlsCheck>,
    ) -> Result<Kind, ProbeFailure> {
        let address = line.address;
        let scheme = if tls.is_some() { Scheme::Https } else { Scheme::Http };
        let alpn = match http.version {
            HttpVersion::One => HTTP_1,
            HttpVersion::Two => HTTP_2,
        };
        let handshake = match tls {
            Some(tls) => Some(self.handshake(tls, http.host.as_deref(), address.ip(), alpn)?),
            None => None,
        };
        let judge = self.judge(&check.name, http)?;
        let exchange = Exchange::new(http, Arc::clone(&judge), address, scheme)?;
        if http.redirects == 0 {
            return Ok(match handshake {
                None => Kind::Http(exchange),
                Some(handshake) => Kind::Https(exchange, handshake),
            });
        }
        let start = redirect::start(http, scheme, address)?;
        // A redirect from http to https is judged as one that says nothing of certificates.
        let tls = tls.cloned().unwrap_or_default();
        let trail = Trail {
            check: http.clone(),
            client: self.client(&tls, alpn),
            tls,
            judge,
            resolver: Arc::clone(&self.shared.resolver),
            source: check.source,
            endpoint: address,
            start,
        };
        Ok(Kind::Walk(Walk::new(exchange, handshake, trail).into()))
    }

    /// The file at a path, the same for all that name it.
    fn file(&mut self, path: &str) -> Arc<StateFile> {
        let known = self.shared.files.iter().find(|file| file.path() == path);
        let file = known.map_or_else(|| Arc::new(StateFile::new(path)), Arc::clone);
        if known.is_none() {
            self.shared.files.push(Arc::clone(&file));
        }
        file
    }

    fn handshake(
        &mut self,
        tls: &TlsCheck,
        host: Option<&str>,
        address: IpAddr,
        alpn: Alpn,
    ) -> Result<Handshake, ProbeFailure> {
        Ok(Handshake {
            server_name: server_name(host, tls, address)?,
            client: self.client(tls, alpn)?,
            min_validity: tls.min_validity,
            tickets: None,
        })
    }

    /// What judges responses: the same for all targets of a check, unless they differ in it.
    fn judge(&mut self, check: &str, http: &HttpCheck) -> Result<Arc<Judge>, ProbeFailure> {
        if let Some((known, judge)) = self.judges.get(check)
            && Judge::is_same(known, http)
        {
            return Ok(Arc::clone(judge));
        }
        let judge = Arc::new(Judge::new(http)?);
        self.judges.insert(check.into(), (http.clone(), Arc::clone(&judge)));
        Ok(judge)
    }

    fn client(&mut self, check: &TlsCheck, alpn: Alpn) -> Result<Arc<Client>, ProbeFailure> {
        let is_same = |(known, offered, _): &&(TlsCheck, Alpn, _)| {
            // Of the rest a client knows nothing.
            let TlsCheck { server_name: _, ca_pem, verify, min_validity: _ } = known;
            (ca_pem, *verify, *offered) == (&check.ca_pem, check.verify, alpn)
        };
        if let Some((.., client)) = self.clients.iter().find(is_same) {
            return client.clone();
        }
        let client = tls::client(check, alpn, &mut self.system);
        self.clients.push((check.clone(), alpn, client.clone()));
        client
    }
}

/// The name in SNI and certificate: the check's own, else the HTTP host, else the address (no SNI).
fn server_name(
    host: Option<&str>,
    tls: &TlsCheck,
    address: IpAddr,
) -> Result<ServerName<'static>, ProbeFailure> {
    let Some(name) = tls.server_name.as_deref().or(host.map(without_port)) else {
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
    use super::Plan;
    use super::Planner;
    use super::without_port;
    use crate::model::Check;
    use crate::model::CheckKind;
    use crate::model::Family;
    use crate::model::HttpCheck;
    use crate::model::Sources;
    use crate::model::TargetKey;
    use crate::model::TlsCheck;
    use crate::runtime::probe::deadline::Deadline;
    use crate::runtime::probe::failure::ProbeFailure;
    use crate::runtime::probe::tls::install_crypto;
    use std::sync::Arc;
    use std::time::Duration;

    fn https(path: &str, host: Option<&str>) -> Check {
        let http =
            HttpCheck { host: host.map(Into::into), path: path.into(), ..HttpCheck::default() };
        Check {
            name: "web".into(),
            kind: CheckKind::Https(http, TlsCheck { verify: false, ..TlsCheck::default() }),
            port: 443,
            source: Sources::default(),
            invert: false,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            fall: 3,
            rise: 5,
            hold_down: Duration::ZERO,
            damping: None,
            jitter_percent: 0,
            degraded: Vec::new(),
            voting: crate::model::Voting::default(),
        }
    }

    fn plan(planner: &mut Planner, check: &Check, address: &str) -> Plan {
        let key = TargetKey {
            endpoint: "eu/a".into(),
            check: "web".into(),
            family: Family::V4,
            address: None,
        };
        planner.plan(address.parse().unwrap(), check, &key)
    }

    #[test]
    fn targets_of_equal_tls_settings_share_one_client() {
        install_crypto();
        let mut planner = Planner::default();
        let mut client =
            |check: &Check, address: &str| match plan(&mut planner, check, address).kind {
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
            let plan = plan(&mut Planner::default(), &check, "127.0.0.1");
            assert!(matches!(plan.kind, Kind::Broken(ProbeFailure::BadCheck(_))), "{plan:?}");
        }
    }

    #[test]
    fn a_probe_that_runs_takes_little_room_of_its_own() {
        install_crypto();
        let mut plain = https("/", None);
        let CheckKind::Https(http, _) = plain.kind else { panic!("{plain:?}") };
        plain.kind = CheckKind::Http(http);
        let plan = plan(&mut Planner::default(), &plain, "127.0.0.1");
        let (_alarm, deadline) = Deadline::new();
        let size = size_of_val(&super::probe(plan, deadline));
        assert!(size <= 2304, "{size}");
    }

    #[test]
    fn a_port_is_no_part_of_the_server_name() {
        assert_eq!(without_port("shop.test"), "shop.test");
        assert_eq!(without_port("shop.test:8443"), "shop.test");
        assert_eq!(without_port("[2001:db8::1]:8443"), "2001:db8::1");
    }
}
