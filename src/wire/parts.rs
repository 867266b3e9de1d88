//! Records whose data are put together from parts: hints that are filled in.

use crate::wire::rdata::RecordType;
use crate::wire::writer::CLASS_IN;
use crate::wire::writer::Full;
use crate::wire::writer::Owner;
use crate::wire::writer::Section;
use crate::wire::writer::Writer;
use crate::wire::writer::head;

impl Writer<'_> {
    /// Writes one record of class IN whose data is these parts in order.
    pub fn put_parts(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rtype: RecordType,
        ttl: u32,
        parts: &[&[u8]],
    ) -> Result<(), Full> {
        self.put_owner(owner)?;
        self.put(&head(rtype, CLASS_IN, ttl, 0))?;
        let start = self.at;
        for part in parts {
            self.put(part)?;
        }
        self.set_rdata_len(start);
        self.counts[section as usize] += 1;
        Ok(())
    }
}
