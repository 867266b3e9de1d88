//! Follows redirects of an HTTP probe: where each leads, whether it is followed, and what all of them may cost together.
//!
//! One exchange at a time by `http`. What is wanted itself is no redirect: a status that the check takes is judged.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use rustls::pki_types::ServerName;
use url::Host;
use url::Url;

use crate::model::Family;
use crate::model::HttpCheck;
use crate::model::ResolverSettings;
use crate::model::Sources;
use crate::model::TlsCheck;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::kinds::http::Exchange;
use crate::runtime::probe::kinds::http::Scheme;
use crate::runtime::probe::kinds::tls::Handshake;
use crate::runtime::probe::line::Line;
use crate::runtime::probe::line::WIRE_MAX;
use crate::runtime::probe::line::Writes;
use crate::runtime::probe::outcome::Success;
use crate::runtime::probe::progress::Phase;
use crate::runtime::probe::progress::Progress;
use crate::runtime::probe::response::judge::Judge;
use crate::runtime::probe::sessions::Tickets;
use crate::runtime::probe::tls::Client;
use crate::runtime::resolve;

/// Longest URL that is followed, in octets.
const URL_MAX: usize = 2048;

/// Characters of a URL that are shown.
const SHOWN_MAX: usize = 120;

/// A request and those that redirects ask for.
#[derive(Debug)]
pub(in crate::runtime::probe) struct Walk {
    first: Exchange,
    handshake: Option<Handshake>,
    trail: Trail,
}

/// What requests after the first are made of.
#[derive(Debug)]
pub(in crate::runtime::probe) struct Trail {
    pub(in crate::runtime::probe) check: HttpCheck,
    pub(in crate::runtime::probe) tls: TlsCheck,
    pub(in crate::runtime::probe) judge: Arc<Judge>,
    /// For https; a fault of it counts only where it is needed.
    pub(in crate::runtime::probe) client: Result<Arc<Client>, ProbeFailure>,
    pub(in crate::runtime::probe) resolver: Arc<ResolverSettings>,
    pub(in crate::runtime::probe) source: Sources,
    /// Where the endpoint is.
    pub(in crate::runtime::probe) endpoint: SocketAddr,
    /// What the first request asks for.
    pub(in crate::runtime::probe) start: Url,
}

/// One request on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    url: Url,
    method: &'static str,
}

/// What a request came to, and how many octets were read for it.
type Answered = (Result<Success, ProbeFailure>, usize);

/// What the first request of a check asks for.
pub(in crate::runtime::probe) fn start(
    check: &HttpCheck,
    scheme: Scheme,
    address: SocketAddr,
) -> Result<Url, ProbeFailure> {
    let authority = scheme.authority(check.host.as_deref(), address);
    let url = Url::parse(&format!("{}://{authority}{}", scheme.text(), check.path));
    url.map_err(|why| ProbeFailure::BadCheck(format!("{authority}: {why}").into()))
}

impl Walk {
    pub(in crate::runtime::probe) fn new(
        first: Exchange,
        handshake: Option<Handshake>,
        trail: Trail,
    ) -> Self {
        Self { first, handshake, trail }
    }

    /// Resumes sessions of the target whose tickets these are; other hosts have none.
    pub(in crate::runtime::probe) fn resume(&mut self, tickets: &mut Option<Arc<Tickets>>) {
        if let Some(handshake) = &mut self.handshake {
            handshake.tickets = Some(Arc::clone(tickets.get_or_insert_default()));
        }
    }

    /// Asks, and follows until something else than a redirect comes, or one that is not followed.
    pub(super) async fn run(
        &self,
        line: Line,
        progress: &mut Progress,
    ) -> Result<Success, ProbeFailure> {
        let trail = &self.trail;
        let mut steps = vec![Step { url: trail.start.clone(), method: trail.check.method }];
        let handshake = self.handshake.as_ref();
        let (mut outcome, mut read) = ask(&self.first, handshake, (line, WIRE_MAX), progress).await;
        while let Some((status, location)) = redirect(&outcome, progress) {
            let here = steps.last().expect("the first step is there from the beginning");
            let next = here.next(status, &location).map_err(ProbeFailure::Redirect)?;
            if steps.contains(&next) {
                let text = format!("redirects lead round: {} again", shown(&next.url));
                return Err(ProbeFailure::Redirect(text.into()));
            }
            if steps.len() > usize::from(trail.check.redirects) {
                let (most, url) = (trail.check.redirects, shown(&next.url));
                let text = format!("more redirects than {most}, the next to {url}");
                return Err(ProbeFailure::Redirect(text.into()));
            }
            let room = WIRE_MAX.saturating_sub(read);
            let (answer, more) = trail.follow(&next, room, progress).await;
            outcome = answer.map_err(|failure| behind(&next.url, failure));
            read += more;
            steps.push(next);
        }
        let last = &steps.last().expect("the first step is there from the beginning").url;
        outcome.map(|success| match steps.len() {
            1 => success,
            _ => success.with_note(&format!("redirected to {}", shown(last))),
        })
    }
}

/// The status of a redirect that is to be followed, and where it leads.
fn redirect(
    outcome: &Result<Success, ProbeFailure>,
    progress: &mut Progress,
) -> Option<(u16, Box<[u8]>)> {
    let failure = match outcome.as_ref().err()? {
        ProbeFailure::Behind { failure, .. } => failure,
        failure => failure,
    };
    let ProbeFailure::Status { got, .. } = failure else { return None };
    Some((*got, progress.seen.location.take()?))
}

/// A failure on the way, with where it came up.
fn behind(url: &Url, failure: ProbeFailure) -> ProbeFailure {
    match failure {
        failure if failure.is_local() => failure,
        failure @ (ProbeFailure::BadCheck(_) | ProbeFailure::Redirect(_)) => failure,
        // Of all that was left for it, which is nobody's number.
        ProbeFailure::TooMuch(_) => ProbeFailure::TooMuch(WIRE_MAX),
        failure => ProbeFailure::Behind { url: shown(url).into(), failure: failure.into() },
    }
}

/// One exchange over a fresh connection, which reads so many octets at most.
async fn ask(
    exchange: &Exchange,
    handshake: Option<&Handshake>,
    (line, room): (Line, usize),
    progress: &mut Progress,
) -> Answered {
    let tickets = handshake.and_then(|handshake| handshake.tickets.as_ref());
    let tally = tickets.map(|tickets| tickets.tally()).unwrap_or_default();
    let outcome = ask_counted(exchange, handshake, (line, room), &tally, progress).await;
    (outcome, tally.load(Relaxed))
}

async fn ask_counted(
    exchange: &Exchange,
    handshake: Option<&Handshake>,
    (line, room): (Line, usize),
    tally: &Arc<AtomicUsize>,
    progress: &mut Progress,
) -> Result<Success, ProbeFailure> {
    let writes = if handshake.is_some() { Writes::Often } else { exchange.writes() };
    let stream = line.connect_within(room, writes).await?.counting_in(Arc::clone(tally));
    let Some(handshake) = handshake else {
        let load = exchange.run(progress.tap(stream), progress).await?;
        return Ok(Success { load, ..Success::default() });
    };
    let (stream, success, chain) = handshake.shake(stream, progress).await?.split();
    let outcome = exchange.run(progress.tap(stream), progress).await;
    handshake.settle(chain);
    outcome.map(|load| Success { load, ..success })
}

impl Trail {
    /// Asks what a redirect leads to.
    async fn follow(&self, step: &Step, room: usize, progress: &mut Progress) -> Answered {
        match self.make_ready(step, progress).await {
            Ok((exchange, handshake, line)) => {
                progress.enter(Phase::Connecting);
                ask(&exchange, handshake.as_ref(), (line, room), progress).await
            }
            Err(failure) => (Err(failure), 0),
        }
    }

    async fn make_ready(
        &self,
        step: &Step,
        progress: &mut Progress,
    ) -> Result<(Exchange, Option<Handshake>, Line), ProbeFailure> {
        let address = self.address(&step.url, progress).await?;
        progress.redirected(format!("{} at {address}", shown(&step.url)).into());
        let scheme = if step.url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
        let exchange =
            Exchange::new(&self.request(step), Arc::clone(&self.judge), address, scheme)?;
        let handshake = match scheme {
            Scheme::Http => None,
            Scheme::Https => Some(Handshake {
                server_name: self.server_name(&step.url)?,
                client: self.client.clone()?,
                tickets: None,
                min_validity: self.tls.min_validity,
            }),
        };
        let source = self.source.of(Family::of(address.ip()));
        Ok((exchange, handshake, Line { address, source }))
    }

    /// Whether a URL is of the host that the first request names.
    fn is_own_host(&self, url: &Url) -> bool {
        url.host() == self.start.host()
    }

    /// Where a URL is asked for: what is said to be of the endpoint's own host stays at the endpoint, whatever DNS says.
    async fn address(
        &self,
        url: &Url,
        progress: &mut Progress,
    ) -> Result<SocketAddr, ProbeFailure> {
        let port = url.port_or_known_default().unwrap_or_default();
        if url.origin() == self.start.origin() {
            return Ok(self.endpoint);
        }
        if self.is_own_host(url) {
            return Ok(SocketAddr::new(self.endpoint.ip(), port));
        }
        let found = match url.host() {
            Some(Host::Ipv4(address)) => vec![IpAddr::V4(address)],
            Some(Host::Ipv6(address)) => vec![IpAddr::V6(address)],
            Some(Host::Domain(name)) => {
                progress.enter(Phase::Resolving);
                let found = resolve::look_up(&self.resolver, &format!("{name}.")).await;
                found.addresses().map_err(|why| self.lost(url, &why))?
            }
            None => Vec::new(),
        };
        let address = self.believed(&found).map_err(|why| self.lost(url, &why))?;
        Ok(SocketAddr::new(address, port))
    }

    fn lost(&self, url: &Url, why: &str) -> ProbeFailure {
        ProbeFailure::Redirect(format!("redirected to {}: {why}", shown(url)).into())
    }

    /// The address to go to: of the endpoint's family if there is one.
    fn believed(&self, found: &[IpAddr]) -> Result<IpAddr, String> {
        let refusal = |address: &IpAddr| match *address == self.endpoint.ip() {
            // The operator's own word.
            true => None,
            false => self.resolver.refusal(*address),
        };
        let mut believed = found.iter().filter(|one| refusal(one).is_none());
        let family = Family::of(self.endpoint.ip());
        let first = believed.clone().find(|one| Family::of(**one) == family);
        if let Some(address) = first.or(believed.next()) {
            return Ok(*address);
        }
        match found.first() {
            Some(address) => {
                let why = refusal(address).unwrap_or_default();
                Err(format!("{address} is refused: {why}; [resolver] allow lets it in"))
            }
            None => Err("it has no addresses".to_owned()),
        }
    }

    /// What is asked for: headers of the check, which may be secrets, go to its own origin only.
    fn request(&self, step: &Step) -> HttpCheck {
        let host = step.url.host_str().unwrap_or_default();
        let host = match step.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let is_own = step.url.origin() == self.start.origin();
        let query = step.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        HttpCheck {
            method: step.method,
            host: Some(if is_own { self.check.host.clone() } else { None }.unwrap_or(host.into())),
            path: (step.url.path().to_owned() + &query).into(),
            headers: if is_own { self.check.headers.clone() } else { Vec::new() },
            ..self.check.clone()
        }
    }

    /// The name in SNI and certificate: the check's own counts for its own host only.
    fn server_name(&self, url: &Url) -> Result<ServerName<'static>, ProbeFailure> {
        let own = self.tls.server_name.as_deref().filter(|_| self.is_own_host(url));
        let name = match (own, url.host()) {
            (Some(name), _) | (None, Some(Host::Domain(name))) => name,
            (None, Some(Host::Ipv4(address))) => return Ok(IpAddr::V4(address).into()),
            (None, Some(Host::Ipv6(address))) => return Ok(IpAddr::V6(address).into()),
            (None, None) => "",
        };
        let name = ServerName::try_from(name.to_owned());
        name.map_err(|_| self.lost(url, "the host is no name of a TLS server"))
    }
}

impl Step {
    /// Where a redirect leads, or why it is not followed.
    fn next(&self, status: u16, location: &[u8]) -> Result<Self, Box<str>> {
        let refused = |text: &str, why: &str| Err(format!("redirected to {text}: {why}").into());
        let Ok(text) = std::str::from_utf8(location) else {
            return refused(&location.escape_ascii().to_string(), "it is no URL");
        };
        if text.len() > URL_MAX {
            return refused(&cut(text), "the URL is too long");
        }
        let mut url = match self.url.join(text) {
            Ok(url) => url,
            Err(why) => return refused(&cut(text), &why.to_string()),
        };
        // What stays at the client, and secrets of somebody else.
        url.set_fragment(None);
        let has_host = url.set_username("").is_ok() && url.set_password(None).is_ok();
        match (self.url.scheme(), url.scheme()) {
            _ if !has_host => refused(&shown(&url), "it has no host"),
            ("https", "http") => refused(&shown(&url), "from https to http, which is refused"),
            (_, "http" | "https") => Ok(Self { method: self.method_after(status), url }),
            _ => refused(&shown(&url), "only http and https are followed"),
        }
    }

    /// As clients do it (RFC 9110 section 15.4).
    fn method_after(&self, status: u16) -> &'static str {
        match (status, self.method) {
            (303, "HEAD") => "HEAD",
            (303, _) | (301 | 302, "POST") => "GET",
            (_, method) => method,
        }
    }
}

/// A URL for people and logs, without its query: that is where tokens of sessions stand.
fn shown(url: &Url) -> String {
    let text = url.as_str();
    match text.split_once('?') {
        Some((place, _)) => cut(place) + "?...",
        None => cut(text),
    }
}

fn cut(text: &str) -> String {
    let one: String = text.chars().filter(|one| !one.is_control()).take(SHOWN_MAX).collect();
    if one.len() < text.len() { one + "..." } else { one }
}

#[cfg(test)]
mod tests {
    use super::Step;
    use proptest::prelude::*;
    use url::Url;

    fn at(url: &str, method: &'static str) -> Step {
        Step { url: Url::parse(url).unwrap(), method }
    }

    fn next(from: &str, location: &str) -> Result<String, String> {
        let next = at(from, "GET").next(302, location.as_bytes());
        next.map(|step| step.url.to_string()).map_err(Into::into)
    }

    #[test]
    fn a_location_is_read_as_browsers_read_it() {
        let from = "http://shop.test:8080/a/b?c=d";
        for (location, url) in [
            ("/x", "http://shop.test:8080/x"),
            ("x", "http://shop.test:8080/a/x"),
            ("?e", "http://shop.test:8080/a/b?e"),
            ("//other.test/x#y", "http://other.test/x"),
            ("https://user:secret@other.test", "https://other.test/"),
            // Another way to write loopback.
            ("http://0x7f.1/", "http://127.0.0.1/"),
        ] {
            assert_eq!(next(from, location).as_deref(), Ok(url), "{location}");
        }
    }

    #[test]
    fn no_redirect_leads_out_of_https_or_to_another_protocol() {
        let failed = next("https://shop.test/", "http://shop.test/").unwrap_err();
        assert_eq!(failed, "redirected to http://shop.test/: from https to http, which is refused");
        for location in ["ftp://shop.test/", "file:///etc/passwd", "gopher://x/", "data:,x"] {
            assert!(next("http://shop.test/", location).is_err(), "{location}");
        }
        assert!(at("http://shop.test/", "GET").next(302, b"/\xff").is_err());
        assert!(next("http://shop.test/", &"x".repeat(3000)).is_err());
    }

    #[test]
    fn methods_change_as_clients_change_them() {
        for (method, status, then) in [
            ("POST", 301, "GET"),
            ("POST", 302, "GET"),
            ("POST", 303, "GET"),
            ("POST", 307, "POST"),
            ("PUT", 301, "PUT"),
            ("PUT", 303, "GET"),
            ("HEAD", 303, "HEAD"),
            ("GET", 308, "GET"),
        ] {
            let step = at("http://shop.test/", method).next(status, b"/x").unwrap();
            assert_eq!(step.method, then, "{method} after {status}");
        }
    }

    #[test]
    fn what_is_shown_of_a_url_is_short_and_no_secret() {
        let shown = |url: &str| super::shown(&Url::parse(url).unwrap());
        assert_eq!(shown("https://shop.test/login?token=abc"), "https://shop.test/login?...");
        assert_eq!(shown("http://shop.test/x"), "http://shop.test/x");
        let long = format!("http://shop.test/{}", "x".repeat(500));
        assert_eq!(shown(&long).len(), super::SHOWN_MAX + 3);
    }

    proptest! {
        #[test]
        fn whatever_a_backend_says_leads_to_http_or_nowhere(location in prop::collection::vec(any::<u8>(), 0..80)) {
            let from = at("https://shop.test/a", "GET");
            match from.next(302, &location) {
                Ok(step) => prop_assert!(step.url.scheme() == "https" && step.url.has_host()),
                Err(why) => prop_assert!(why.len() < 1000),
            }
        }
    }
}
