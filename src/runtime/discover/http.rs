//! Target groups over HTTP, as Prometheus asks for them: bounded in time and size, without redirects.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Certificate;
use reqwest::Client;
use reqwest::StatusCode;
use reqwest::header::ACCEPT;
use reqwest::header::AUTHORIZATION;
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use tokio::time::Instant;

use crate::discovery::LIST_OCTETS_MAX;
use crate::model::Source;
use crate::runtime::discover::Said;
use crate::runtime::discover::Teller;
use crate::runtime::discover::chain;
use crate::runtime::discover::read;
use crate::runtime::probe::install_crypto;

/// Largest file of a header or of certificates, in octets.
const SECRET_MAX: u64 = 1 << 20;

/// Header by which Prometheus tells how often it asks.
const REFRESH: &str = "X-Prometheus-Refresh-Interval-Seconds";

/// Asks again and again; one request never overlaps the next.
pub(super) async fn follow(source: &Arc<Source>, teller: &Teller) -> Result<(), ()> {
    let Source::Http { url, interval, timeout, authorization, ca } = &**source else {
        return Ok(());
    };
    let mut asking = Asking { ca: ca.as_deref(), known: None };
    loop {
        let start = Instant::now();
        let result = {
            let _permit = teller.permits.acquire().await;
            let asked = asking.ask(url, *interval, authorization.as_deref());
            match tokio::time::timeout(*timeout, asked).await {
                Ok(said) => said,
                Err(_) => Err(format!("no whole list within {} s", timeout.as_secs()).into()),
            }
        };
        teller.tell(source, result).await?;
        tokio::time::sleep_until(start + *interval).await;
    }
}

/// A client, made anew when the authorities on disk are others.
struct Asking<'a> {
    ca: Option<&'a Path>,
    known: Option<(Option<Vec<u8>>, Client)>,
}

impl Asking<'_> {
    async fn ask(&mut self, url: &str, interval: Duration, authorization: Option<&Path>) -> Said {
        let mut request = self
            .client()
            .await?
            .get(url)
            .header(ACCEPT, "application/json")
            .header(REFRESH, interval.as_secs().to_string());
        if let Some(path) = authorization {
            request = request.header(AUTHORIZATION, secret(path).await?);
        }
        let words = |why: reqwest::Error| -> Box<str> { chain(&why.without_url()).into() };
        let mut response = request.send().await.map_err(words)?;
        match response.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => {
                return Err(format!("the answer is {status}; redirects are not followed").into());
            }
            status => return Err(format!("the answer is {status}").into()),
        }
        let most = LIST_OCTETS_MAX as u64;
        let too_large = || Box::from(format!("the list has more than {most} octets"));
        if response.content_length().is_some_and(|len| len > most) {
            return Err(too_large());
        }
        let mut octets = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(words)? {
            if octets.len() + chunk.len() > LIST_OCTETS_MAX {
                return Err(too_large());
            }
            octets.extend_from_slice(&chunk);
        }
        read(octets)
    }

    async fn client(&mut self) -> Result<Client, Box<str>> {
        let pem = match self.ca {
            Some(path) => Some(read_small(path).await?),
            None => None,
        };
        if let Some((known, client)) = &self.known
            && *known == pem
        {
            return Ok(client.clone());
        }
        install_crypto();
        let mut builder = Client::builder()
            .user_agent(concat!("rhumb/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy();
        if let Some(pem) = &pem {
            let authorities = Certificate::from_pem_bundle(pem).map_err(|why| chain(&why))?;
            if authorities.is_empty() {
                return Err("the file of authorities holds no certificate".into());
            }
            builder = builder.tls_certs_only(authorities);
        }
        let client = builder.build().map_err(|why| chain(&why))?;
        self.known = Some((pem, client.clone()));
        Ok(client)
    }
}

/// The value of the header, which no log shows.
async fn secret(path: &Path) -> Result<HeaderValue, Box<str>> {
    let octets = read_small(path).await?;
    let wrong = || Box::from(format!("{} holds no value of a header", path.display()));
    let text = octets.trim_ascii();
    let mut value = HeaderValue::from_bytes(text).map_err(|_| wrong())?;
    if value.is_empty() {
        return Err(wrong());
    }
    value.set_sensitive(true);
    Ok(value)
}

async fn read_small(path: &Path) -> Result<Vec<u8>, Box<str>> {
    let shown = path.display().to_string();
    let path = path.to_owned();
    let work = move || match path.metadata()?.len() > SECRET_MAX {
        true => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
        false => std::fs::read(path),
    };
    let octets = tokio::task::spawn_blocking(work).await.map_err(io::Error::other);
    octets.and_then(|octets| octets).map_err(|why| format!("{shown}: {why}").into())
}
