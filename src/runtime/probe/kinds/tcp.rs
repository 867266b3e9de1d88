//! The TCP probe: a connection is accepted; if it is to be so, something is sent and something comes back.

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use crate::model::Talk;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::line::Line;
use crate::runtime::probe::line::Writes;
use crate::runtime::probe::outcome::Success;
use crate::runtime::probe::progress::Phase;
use crate::runtime::probe::progress::Progress;
use crate::runtime::probe::response::search::Progress as Found;
use crate::runtime::probe::response::search::Search;

/// What is read at once, in octets.
const PIECE: usize = 2048;

/// What is said and what must come back.
#[derive(Debug)]
pub(in crate::runtime::probe) struct Conversation(pub(in crate::runtime::probe) Talk);

impl Conversation {
    pub(super) async fn run(
        &self,
        line: Line,
        progress: &mut Progress,
    ) -> Result<Success, ProbeFailure> {
        let mut stream = progress.tap(line.connect(Writes::Once).await?);
        progress.enter(Phase::AwaitingResponse);
        if let Some(send) = &self.0.send {
            let sent = stream.write_all(send).await;
            sent.map_err(|error| ProbeFailure::from_io(&error, Phase::AwaitingResponse))?;
        }
        if let Some(expected) = &self.0.expect {
            // With its room on the heap, for most only connect.
            Box::pin(look_for(expected, stream, progress)).await?;
        }
        Ok(Success::default())
    }
}

/// Reads until it is there or cannot come any more.
async fn look_for(
    expected: &[u8],
    mut stream: impl AsyncRead + Unpin,
    progress: &mut Progress,
) -> Result<(), ProbeFailure> {
    let mut search = Search::new(expected);
    let mut piece = [0; PIECE];
    // What came first is shown: it mostly says what is wrong.
    let mut first = Vec::new();
    loop {
        let read = stream.read(&mut piece).await;
        let len = read.map_err(|error| ProbeFailure::from_io(&error, progress.phase()))?;
        if len == 0 && first.is_empty() {
            return Err(ProbeFailure::Closed(progress.phase()));
        }
        if progress.phase() == Phase::AwaitingResponse {
            progress.enter(Phase::ReadingBody);
        }
        let room = ProbeFailure::SHOWN_MAX.saturating_sub(first.len());
        first.extend_from_slice(&piece[..len.min(room)]);
        match (search.push(&piece[..len]), len) {
            (Found::Found, _) => return Ok(()),
            (Found::More, 1..) => {}
            (Found::Exhausted | Found::More, _) => {
                return Err(ProbeFailure::reply_lacks(expected, &first));
            }
        }
    }
}
