//! `POST /rtt`: takes measured round-trip times, one JSON object a line, from browsers and collectors.
//!
//! A browser posts from a page whose origin is allowed, and speaks of itself only: the address of its connection. Who has
//! the token may name clients in the lines, or, as a proxy, in the last word of `X-Forwarded-For`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use ipnet::IpNet;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio::time::timeout;

use crate::control::round_trips::Measurement;
use crate::model::Rtt;
use crate::rtt::Ground;
use crate::rtt::LineFault;
use crate::rtt::Source;
use crate::rtt::beacon::Sender;
use crate::rtt::key::network_of;
use crate::rtt::read_beacons;
use crate::runtime::admin::Peer;
use crate::runtime::metrics::Metrics;
use crate::runtime::publish::Published;

/// How long a post may take to arrive.
const ARRIVAL_MAX: Duration = Duration::from_secs(10);

/// Client networks that are counted in a minute; when it is full, new ones wait for the next.
const CLIENTS_MAX: usize = 50_000;

/// What a limit on posts is counted over.
const MINUTE: Duration = Duration::from_secs(60);

/// Faults that a reply tells; of more only the number is told.
const FAULTS_TOLD: usize = 100;

/// Fewest and most octets of a token.
const TOKEN_OCTETS: std::ops::RangeInclusive<usize> = 16..=256;

/// The secret of those who may name clients: its digest, so that comparing takes the same time for every guess.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    /// A token of enough octets that fit into a header.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        if !TOKEN_OCTETS.contains(&text.len()) {
            let (min, max) = TOKEN_OCTETS.into_inner();
            return Err(format!("{} octets; write {min} to {max} into it", text.len()));
        }
        if !text.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err("something else than visible ASCII in it; use letters and digits".into());
        }
        Ok(Self::of(text))
    }

    fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }
}

/// Posts of this minute by client network.
#[derive(Debug)]
struct Minute {
    began: Instant,
    posts: HashMap<IpNet, u32>,
}

/// What takes posts.
#[derive(Debug)]
pub struct BeaconDesk {
    settings: Rtt,
    token: Option<Token>,
    published: Published,
    measured: mpsc::Sender<Vec<Measurement>>,
    metrics: Arc<Metrics>,
    minute: Mutex<Minute>,
}

/// What became of a post.
#[derive(Debug, Serialize)]
struct Outcome {
    taken: usize,
    refused: usize,
    /// Why lines were refused, the first [`FAULTS_TOLD`].
    faults: Vec<LineFault>,
}

/// Why a post as a whole is refused.
#[derive(Debug, PartialEq, Eq)]
struct Refused(StatusCode, &'static str);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, why) = self;
        let mut response = (status, format!("{why}\n")).into_response();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let minute = HeaderValue::from_static("60");
            response.headers_mut().insert(header::RETRY_AFTER, minute);
        }
        response
    }
}

/// What measures in browsers, as `deploy/` has it.
const SCRIPT: &str = include_str!("../../deploy/beacon.js");

/// Posts and the script alone: what may stand on the open internet.
pub fn public_router(desk: Arc<BeaconDesk>) -> Router {
    let script = || async { ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT) };
    router(desk).route("/beacon.js", get(script))
}

/// The page.
pub fn router(desk: Arc<BeaconDesk>) -> Router {
    Router::new().route("/rtt", post(take).options(preflight)).with_state(desk)
}

/// Tells a browser whether the page may post (CORS).
async fn preflight(State(desk): State<Arc<BeaconDesk>>, headers: HeaderMap) -> Response {
    match desk.allowed_origin(&headers) {
        Some(origin) => {
            let fields = [
                (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
                (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
                (header::ACCESS_CONTROL_MAX_AGE, "86400"),
            ];
            allowing(&origin, (StatusCode::NO_CONTENT, fields).into_response())
        }
        None => Refused(StatusCode::FORBIDDEN, FOREIGN).into_response(),
    }
}

/// What is wrong with a post of nobody known.
const FOREIGN: &str =
    "this page may not post here: add its origin to [rtt] origins, or send the token";

async fn take(
    State(desk): State<Arc<BeaconDesk>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let origin = desk.allowed_origin(&headers);
    let response = match desk.take(peer.ip(), &headers, origin.is_some(), body).await {
        Ok(outcome) => {
            desk.metrics.count_beacons(outcome.taken, outcome.refused);
            let nothing = outcome.taken == 0 && outcome.refused > 0;
            let status = if nothing { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            let json = serde_json::to_string(&outcome).unwrap_or_default() + "\n";
            (status, [(header::CONTENT_TYPE, "application/json")], json).into_response()
        }
        Err(refused) => {
            desk.metrics.count_refused_post();
            refused.into_response()
        }
    };
    match origin {
        Some(origin) => allowing(&origin, response),
        None => response,
    }
}

/// The response, which a page of this origin may read.
fn allowing(origin: &HeaderValue, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    response
}

impl BeaconDesk {
    /// A desk that judges by the snapshot in force and hands on to the controller.
    pub fn new(
        settings: Rtt,
        token: Option<Token>,
        published: Published,
        measured: mpsc::Sender<Vec<Measurement>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let minute = Minute { began: Instant::now(), posts: HashMap::new() };
        Self { settings, token, published, measured, metrics, minute: Mutex::new(minute) }
    }

    /// The origin of the page that posts, if it may.
    fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let allowed = &self.settings.origins;
        let is_allowed = allowed.iter().any(|known| **known == *"*" || known.as_bytes() == origin);
        is_allowed.then(|| origin.clone())
    }

    async fn take(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        is_allowed_page: bool,
        body: Body,
    ) -> Result<Outcome, Refused> {
        let sender = self.sender(peer, headers, is_allowed_page)?;
        if let Sender::Client(client) = sender
            && !self.has_room_for(client)
        {
            return Err(Refused(StatusCode::TOO_MANY_REQUESTS, "too many posts of this network"));
        }
        let octets = self.arrive(body).await?;
        let Ok(text) = std::str::from_utf8(&octets) else {
            return Err(Refused(StatusCode::BAD_REQUEST, "not UTF-8: send one JSON object a line"));
        };
        if text.lines().count() > self.settings.post_lines {
            let why = "more lines than [rtt] post_lines: send several posts";
            return Err(Refused(StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        let (beacons, mut faults) = {
            let snapshot = self.published.load();
            let compiled = &snapshot.compiled;
            let ground = Ground { places: &compiled.geo, sites: &compiled.model.sites };
            read_beacons(text, sender, &ground)
        };
        let (taken, refused) = (beacons.len(), faults.len());
        let measurements = beacons.into_iter().map(|beacon| Measurement {
            network: beacon.network,
            site: beacon.site,
            source: Source::Beacon,
            rtt_us: beacon.rtt_us,
        });
        if taken > 0 && self.measured.try_send(measurements.collect()).is_err() {
            return Err(Refused(StatusCode::TOO_MANY_REQUESTS, "too many posts at once"));
        }
        faults.truncate(FAULTS_TOLD);
        Ok(Outcome { taken, refused, faults })
    }

    /// Whose measurements these are.
    fn sender(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        is_allowed_page: bool,
    ) -> Result<Sender, Refused> {
        let given = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or(""));
        match given.map(|value| value.strip_prefix("Bearer ").map(|text| Token::of(text.trim()))) {
            None if is_allowed_page => Ok(Sender::Client(peer)),
            None => Err(Refused(StatusCode::FORBIDDEN, FOREIGN)),
            Some(token) if token.is_some() && token == self.token => {
                Ok(Sender::Trusted(forwarded(headers)?.or(Some(peer))))
            }
            Some(_) => Err(Refused(StatusCode::UNAUTHORIZED, "this is not the token")),
        }
    }

    /// Counts a post of a client; false if its network has had its share of this minute.
    fn has_room_for(&self, client: IpAddr) -> bool {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.began.elapsed() >= MINUTE {
            *minute = Minute { began: Instant::now(), posts: HashMap::new() };
        }
        let network = network_of(client);
        let full = minute.posts.len() >= CLIENTS_MAX;
        if full && !minute.posts.contains_key(&network) {
            return false;
        }
        let posts = minute.posts.entry(network).or_default();
        *posts = posts.saturating_add(1);
        *posts <= self.settings.posts_a_minute
    }

    /// The whole body, if it is short enough and comes in time.
    async fn arrive(&self, body: Body) -> Result<axum::body::Bytes, Refused> {
        let arriving = axum::body::to_bytes(body, self.settings.post_octets);
        match timeout(ARRIVAL_MAX, arriving).await {
            Ok(Ok(octets)) => Ok(octets),
            Ok(Err(_)) => {
                let why = "more octets than [rtt] post_octets: send several posts";
                Err(Refused(StatusCode::PAYLOAD_TOO_LARGE, why))
            }
            Err(_) => Err(Refused(StatusCode::REQUEST_TIMEOUT, "the post takes too long")),
        }
    }
}

/// The client that a proxy names: the last word of the last `X-Forwarded-For`, which is the proxy's own.
fn forwarded(headers: &HeaderMap) -> Result<Option<IpAddr>, Refused> {
    let Some(value) = headers.get_all("x-forwarded-for").iter().next_back() else {
        return Ok(None);
    };
    let last = value.to_str().unwrap_or("").rsplit(',').next().unwrap_or("").trim();
    match last.parse() {
        Ok(address) => Ok(Some(address)),
        Err(_) => Err(Refused(StatusCode::BAD_REQUEST, "X-Forwarded-For ends with no address")),
    }
}
