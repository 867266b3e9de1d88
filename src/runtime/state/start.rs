//! The first thing a server does with its state: open it, beside the threads that serve.

use std::sync::Arc;

use crate::control::Restored;
use crate::runtime::serve::StartError;
use crate::runtime::state::Settings;
use crate::runtime::state::State;

/// Opens the file of state, if there is a folder for it.
pub async fn open(
    settings: Option<Settings>,
) -> Result<(Option<Arc<State>>, Option<Restored>), StartError> {
    let Some(settings) = settings else { return Ok((None, None)) };
    let folder = settings.folder.clone();
    let opened = tokio::task::spawn_blocking(move || State::start(settings)).await;
    let opened = opened.map_err(std::io::Error::other)?;
    let (state, restored) = opened.map_err(|why| StartError::State { folder, why })?;
    Ok((Some(Arc::new(state)), Some(restored)))
}
