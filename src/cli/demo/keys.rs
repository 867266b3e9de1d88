//! Single keys from the terminal, without waiting for a line.

use std::io::IsTerminal;
use std::io::Read;

use rustix::termios;
use rustix::termios::LocalModes;
use rustix::termios::OptionalActions;
use tokio::sync::mpsc;

/// Keys as they are pressed. The terminal is as before when this is dropped.
pub(super) struct Keys {
    keys: mpsc::Receiver<u8>,
    before: Option<termios::Termios>,
}

/// Whether there is a terminal to press keys on.
pub(super) fn available() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Starts listening; without a terminal nothing ever comes.
pub(super) fn listen() -> Keys {
    let (sender, keys) = mpsc::channel(16);
    if !available() {
        return Keys { keys, before: None };
    }
    let before = termios::tcgetattr(std::io::stdin()).ok();
    if let Some(mut now) = before.clone() {
        now.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        // If the terminal refuses, keys come with the next Enter.
        let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &now);
    }
    // A plain thread: reading a terminal cannot be cancelled, and must not keep the process from ending.
    std::thread::spawn(move || {
        let mut key = [0];
        while matches!(std::io::stdin().read(&mut key), Ok(1)) {
            if sender.blocking_send(key[0]).is_err() {
                return;
            }
        }
    });
    Keys { keys, before }
}

impl Keys {
    /// The next key; `None` when the terminal is gone.
    pub(super) async fn recv(&mut self) -> Option<u8> {
        self.keys.recv().await
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}
