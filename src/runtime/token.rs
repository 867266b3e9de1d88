//! The token of those who post measurements of others: one line of a file.

use crate::model::Rtt;
use crate::runtime::beacons::Token;
use crate::runtime::serve::StartError;

/// Reads the token of those who post measurements of others, if a file is named.
pub fn read(rtt: Option<&Rtt>) -> Result<Option<Token>, StartError> {
    let Some(path) = rtt.and_then(|rtt| rtt.token_file.as_ref()) else { return Ok(None) };
    let fault = |why: String| StartError::Token { path: path.clone(), why };
    let text = std::fs::read_to_string(path).map_err(|why| fault(why.to_string()))?;
    Token::new(text.trim()).map(Some).map_err(fault)
}
