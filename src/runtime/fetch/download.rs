//! One HTTP download: who asks, through which proxy, how long it is tried, and how much may come.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use reqwest::Client;
use reqwest::Proxy;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::header::IF_MODIFIED_SINCE;
use reqwest::header::LAST_MODIFIED;
use reqwest::redirect::Policy;
use tokio::time::Instant;
use tokio::time::sleep;

use crate::runtime::fetch::FetchFault;
use crate::runtime::probe::install_crypto;

/// Largest download, in octets: over three times the largest databases sold, as they are packed.
pub const DOWNLOAD_MAX: u64 = 1 << 30;

/// How long a connection may take, the next octets may take to come, and a download as a whole.
const CONNECT_MAX: Duration = Duration::from_secs(20);
const SILENCE_MAX: Duration = Duration::from_secs(60);
const WHOLE_MAX: Duration = Duration::from_secs(1800);

/// Redirects followed. MaxMind sends one.
const REDIRECTS_MAX: usize = 5;

/// Longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Who asks: an account and its licence key.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// A number, as text.
    pub id: String,
    /// Secret.
    pub license_key: String,
}

/// Without the key: it must not get into a log.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How a failed download is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The first pause; each further one is twice as long.
    pub pause: Duration,
    /// No new try begins later than this after the first.
    pub total: Duration,
}

impl Default for Retry {
    /// geoipupdate's five minutes.
    fn default() -> Self {
        Self { pause: Duration::from_secs(1), total: Duration::from_secs(300) }
    }
}

/// Hears what is being downloaded, how many octets have come, and of how many.
pub type Progress = Arc<dyn Fn(&str, u64, Option<u64>) + Send + Sync>;

/// Hears of a failure that may pass, and for how long tries go on.
pub type Waiting = Arc<dyn Fn(&str, &FetchFault, Duration) + Send + Sync>;

/// How downloads are made.
#[derive(Clone, Default)]
pub struct Options {
    /// Sent with each request as basic authentication; never after a redirect to another host.
    pub account: Option<Account>,
    /// `http://proxy:3128`; the environment's if absent.
    pub proxy: Option<String>,
    /// User and password of the proxy, with a colon between.
    pub proxy_user_password: Option<String>,
    /// What to do about failures that may pass.
    pub retry: Retry,
    /// Who hears of progress.
    pub progress: Option<Progress>,
    /// Who hears of failures before the last.
    pub waiting: Option<Waiting>,
}

/// Downloads by one set of options.
#[derive(Clone)]
pub struct Downloader {
    client: Client,
    options: Options,
}

/// What came.
pub struct Downloaded {
    /// All of it.
    pub octets: Vec<u8>,
    /// When the server says that it last changed.
    pub modified: Option<SystemTime>,
}

/// A failure, and whether it may pass.
struct Failure {
    fault: FetchFault,
    may_pass: bool,
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let may_pass = !error.is_builder() && !error.is_redirect();
        Self { fault: FetchFault::Http(chain(&error)), may_pass }
    }
}

/// An error with its causes: reqwest shows only the outermost.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}

impl Downloader {
    /// Prepares downloads.
    ///
    /// # Errors
    /// [`FetchFault::BadUrl`] for the proxy, [`FetchFault::Http`] if TLS cannot be set up.
    pub fn new(options: Options) -> Result<Self, FetchFault> {
        install_crypto();
        let mut builder = Client::builder()
            .user_agent(concat!("rhumb/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_MAX)
            .read_timeout(SILENCE_MAX)
            .timeout(WHOLE_MAX)
            .redirect(Policy::custom(|attempt| {
                let from_tls = attempt.previous().iter().any(|url| url.scheme() == "https");
                if attempt.previous().len() > REDIRECTS_MAX {
                    attempt.error("too many redirects")
                } else if from_tls && attempt.url().scheme() != "https" {
                    attempt.error("a redirect from https to http is not followed")
                } else {
                    attempt.follow()
                }
            }));
        if let Some(proxy) = &options.proxy {
            let bad = |_| FetchFault::BadUrl(proxy.clone());
            // geoipupdate takes a bare host and port for an HTTP proxy.
            let url = if proxy.contains("://") { proxy.clone() } else { format!("http://{proxy}") };
            let mut proxy = Proxy::all(url).map_err(bad)?;
            if let Some((user, password)) =
                options.proxy_user_password.as_deref().and_then(|both| both.split_once(':'))
            {
                proxy = proxy.basic_auth(user, password);
            }
            builder = builder.proxy(proxy);
        }
        let client = builder.build().map_err(|error| FetchFault::Http(chain(&error)))?;
        Ok(Self { client, options })
    }

    /// Downloads `url`; `None` if it has not changed since `since`. `label` is for the progress.
    ///
    /// What may pass (a broken connection, 429, 5xx) is tried again with growing pauses.
    ///
    /// # Errors
    /// [`FetchFault`] of the last try.
    pub async fn get(
        &self,
        url: Url,
        label: &str,
        since: Option<SystemTime>,
    ) -> Result<Option<Downloaded>, FetchFault> {
        if self.options.account.is_some() && url.scheme() != "https" && !is_loopback(&url) {
            return Err(FetchFault::Unencrypted(url.into()));
        }
        let Retry { mut pause, total } = self.options.retry;
        let end = Instant::now() + total;
        loop {
            match self.get_once(url.clone(), label, since).await {
                Ok(downloaded) => return Ok(downloaded),
                Err(Failure { may_pass: true, fault }) if Instant::now() + pause < end => {
                    if let Some(waiting) = &self.options.waiting {
                        waiting(label, &fault, end - Instant::now());
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(Failure { fault, .. }) => return Err(fault),
            }
        }
    }

    async fn get_once(
        &self,
        url: Url,
        label: &str,
        since: Option<SystemTime>,
    ) -> Result<Option<Downloaded>, Failure> {
        let mut request = self.client.get(url);
        if let Some(Account { id, license_key }) = &self.options.account {
            request = request.basic_auth(id, Some(license_key));
        }
        if let Some(since) = since {
            request = request.header(IF_MODIFIED_SINCE, httpdate::fmt_http_date(since));
        }
        let mut response = request.send().await?;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED && since.is_some() {
            return Ok(None);
        }
        if status != StatusCode::OK {
            return Err(refusal(status));
        }
        let too_large = || Failure { fault: FetchFault::TooLarge, may_pass: false };
        let expected = response.content_length();
        if expected.is_some_and(|len| len > DOWNLOAD_MAX) {
            return Err(too_large());
        }
        let modified = response.headers().get(LAST_MODIFIED).and_then(|value| value.to_str().ok());
        let modified = modified.and_then(|text| httpdate::parse_http_date(text).ok());
        let mut octets = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if (octets.len() + chunk.len()) as u64 > DOWNLOAD_MAX {
                return Err(too_large());
            }
            octets.extend_from_slice(&chunk);
            if let Some(progress) = &self.options.progress {
                progress(label, octets.len() as u64, expected);
            }
        }
        Ok(Some(Downloaded { octets, modified }))
    }
}

fn refusal(status: StatusCode) -> Failure {
    let may_pass = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let fault = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            FetchFault::Credentials(status.as_u16())
        }
        StatusCode::NOT_FOUND => FetchFault::NotFound,
        other => FetchFault::Status(other.as_u16()),
    };
    Failure { fault, may_pass }
}

/// Whether a request to it stays on this machine.
fn is_loopback(url: &Url) -> bool {
    let address = url
        .host_str()
        .and_then(|host| host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().ok());
    address.is_some_and(|address| address.is_loopback()) || url.host_str() == Some("localhost")
}
