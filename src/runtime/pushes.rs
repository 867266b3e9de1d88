//! `POST /push/CHECK/POOL/ENDPOINT?state=up`: takes reports on endpoints from whoever has a token of the check.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::post;

use crate::runtime::probe::Board;
use crate::runtime::probe::Refused;

/// The page that takes reports.
pub(super) fn router(board: Arc<Board>) -> Router {
    Router::new().route("/push/{check}/{pool}/{endpoint}", post(take)).with_state(board)
}

/// Takes one report; its body is not read.
async fn take(
    State(board): State<Arc<Board>>,
    Path((check, pool, endpoint)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let (is_up, reason) = match read_query(query.as_deref().unwrap_or_default()) {
        Ok(said) => said,
        Err(fault) => return (StatusCode::BAD_REQUEST, format!("{fault}\n")).into_response(),
    };
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer "));
    let endpoint = format!("{pool}/{endpoint}");
    let token = token.unwrap_or_default();
    match board.report(&check, &endpoint, token, is_up, reason.as_deref()) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(Refused::Forbidden) => {
            let text = "the token is none of this check's, or there is no such check\n";
            (StatusCode::FORBIDDEN, text).into_response()
        }
        Err(Refused::NoSuchEndpoint) => {
            let text = "the check has no such endpoint; write /push/CHECK/POOL/ENDPOINT\n";
            (StatusCode::NOT_FOUND, text).into_response()
        }
    }
}

/// `state=up&reason=text`
fn read_query(query: &str) -> Result<(bool, Option<String>), String> {
    let (mut state, mut reason) = (None, None);
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match (name, value) {
            ("state", "up") => state = Some(true),
            ("state", "down") => state = Some(false),
            ("reason", text) => reason = Some(decode(text)),
            ("state", _) => return Err("state is \"up\" or \"down\"".into()),
            _ => return Err(format!("\"{name}\" is not known; write ?state=up&reason=TEXT")),
        }
    }
    let state = state.ok_or("say ?state=up or ?state=down")?;
    Ok((state, reason))
}

/// A text of a query without its escapes; what is no text becomes a replacement character.
fn decode(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16).map(|digit| digit as u8);
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                octets.push(high << 4 | low);
                rest = &after[2..];
            }
            (b'+', ..) => {
                octets.push(b' ');
                rest = after;
            }
            _ => {
                octets.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::read_query;

    #[test]
    fn a_report_says_up_or_down_and_why() {
        assert_eq!(read_query("state=up"), Ok((true, None)));
        assert_eq!(
            read_query("reason=a+new%20disk%C3%BC%&state=down"),
            Ok((false, Some("a new disk\u{fc}%".into())))
        );
        for bad in ["", "state", "state=maybe", "state=up&x=1"] {
            assert!(read_query(bad).is_err(), "{bad}");
        }
    }
}
