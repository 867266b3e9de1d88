//! What other nodes said reaches the controller.

use crate::cluster::Heard;
use crate::control::Event;
use crate::runtime::control_loop::Core;
use crate::runtime::control_loop::HEARD_MAX;

impl Core {
    /// Takes in what other nodes said, with all else of them that is waiting.
    pub(super) fn hear(&mut self, first: Heard) {
        let mut next = Some(first);
        for _ in 0..HEARD_MAX {
            let Some(heard) = next else { return };
            self.handle(Event::Heard(heard));
            next = self.inbox.heard.try_recv().ok();
        }
        // The last one that was taken off is not to be lost.
        if let Some(heard) = next {
            self.handle(Event::Heard(heard));
        }
    }
}
