//! A batch of datagrams: one call receives up to 64, one call sends their replies.

use std::io;
use std::mem;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::net::SocketAddrV6;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::Arc;

use socket2::Socket;

use crate::runtime::udp::socket::packet_info;
use crate::runtime::udp::socket::packet_info::CONTROL_OCTETS;
use crate::runtime::udp::socket::packet_info::Control;

/// Datagrams a call; beyond 16 the gain is small (measured), 64 rides out longer pauses.
const BATCH: usize = 64;

/// Octets of a receive buffer: the largest query we read and the largest reply we can write.
const FRAME_OCTETS: usize = 4096;

/// Source address, in the kernel's form.
#[derive(Clone, Copy)]
#[repr(C)]
union Name {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

/// All that one datagram needs.
///
/// Its size is no multiple of 4,096, so that the starts of the frames fall into different cache sets.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Slot {
    iovec: libc::iovec,
    name: Name,
    control: Control,
    frame: [u8; FRAME_OCTETS],
}

/// A socket with its receive buffers, in which the replies are written.
///
/// Nothing is allocated after `new`. `headers` and `slots` own memory that is reached through pointers:
/// header `i` points to the iovec, name and control of slot `i`, that iovec to its frame. The vectors
/// never grow, and slots are touched only through `base`.
pub(crate) struct Batch {
    socket: Arc<Socket>,
    bound: IpAddr,
    headers: Vec<libc::mmsghdr>,
    outgoing: Vec<libc::mmsghdr>,
    base: *mut Slot,
    _slots: Vec<Slot>,
    filled: usize,
}

/// One received datagram.
pub(crate) struct Datagram<'batch> {
    /// Who sent it.
    pub(crate) source: SocketAddr,
    /// The address it was sent to, if the kernel told.
    pub(crate) local: Option<IpAddr>,
    /// The query in its first `len` octets, and room for the reply.
    pub(crate) frame: &'batch mut [u8],
    /// Octets of the query.
    pub(crate) len: usize,
}

/// What became of a batch's replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SendOutcome {
    /// The kernel took them.
    pub(crate) sent: usize,
    /// The kernel refused them.
    pub(crate) failed: usize,
}

impl Batch {
    /// Allocates the buffers for a socket bound to `bound`.
    pub(crate) fn new(socket: Arc<Socket>, bound: IpAddr) -> Batch {
        // SAFETY: all are plain C structs, for which zero octets are valid.
        let (slot, header): (Slot, libc::mmsghdr) = unsafe { (mem::zeroed(), mem::zeroed()) };
        let mut slots = vec![slot; BATCH];
        let base = slots.as_mut_ptr();
        let mut batch = Batch {
            socket,
            bound,
            headers: vec![header; BATCH],
            outgoing: vec![header; BATCH],
            base,
            _slots: slots,
            filled: BATCH,
        };
        batch.wire_up();
        batch.reset();
        batch
    }

    /// Points the headers at the slots, once.
    fn wire_up(&mut self) {
        for (index, header) in self.headers.iter_mut().enumerate() {
            // SAFETY: `index` is below BATCH, the number of slots.
            let slot = unsafe { self.base.add(index) };
            // SAFETY: `slot` is valid; only addresses of its fields are taken.
            unsafe {
                (*slot).iovec.iov_base = (&raw mut (*slot).frame).cast();
                header.msg_hdr.msg_name = (&raw mut (*slot).name).cast();
                header.msg_hdr.msg_iov = &raw mut (*slot).iovec;
                header.msg_hdr.msg_control = (&raw mut (*slot).control).cast();
            }
            header.msg_hdr.msg_iovlen = 1;
        }
    }

    /// Restores the lengths that the last batch changed.
    fn reset(&mut self) {
        let (name_octets, control_octets) = (self.name_octets(), self.control_octets());
        for (index, header) in self.headers[..self.filled].iter_mut().enumerate() {
            header.msg_hdr.msg_namelen = name_octets;
            header.msg_hdr.msg_controllen = control_octets as _;
            // SAFETY: `index` is below BATCH, the number of slots.
            unsafe { (*self.base.add(index)).iovec.iov_len = FRAME_OCTETS };
        }
        self.filled = 0;
    }

    /// Size of a source address on this socket.
    fn name_octets(&self) -> libc::socklen_t {
        match self.bound {
            IpAddr::V4(_) => size_of::<libc::sockaddr_in>() as libc::socklen_t,
            IpAddr::V6(_) => size_of::<libc::sockaddr_in6>() as libc::socklen_t,
        }
    }

    /// Size of the packet info on this socket: a socket bound to one address needs none.
    fn control_octets(&self) -> usize {
        if self.bound.is_unspecified() { CONTROL_OCTETS } else { 0 }
    }

    /// Waits for a datagram, then takes all that are there, up to a batch; returns how many.
    pub(crate) fn receive(&mut self) -> io::Result<usize> {
        self.reset();
        // SAFETY: the headers point into slots that live as long as `self`, with their true lengths.
        let received = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as _,
                libc::MSG_WAITFORONE as _,
                ptr::null_mut(),
            )
        };
        self.filled = usize::try_from(received).map_err(|_| io::Error::last_os_error())?.min(BATCH);
        for index in 0..self.filled {
            // No reply until one is set.
            // SAFETY: `index` is below BATCH, the number of slots.
            unsafe { (*self.base.add(index)).iovec.iov_len = 0 };
        }
        Ok(self.filled)
    }

    /// The datagram at `index` of the last batch; `None` if it was longer than a buffer.
    #[inline]
    pub(crate) fn datagram(&mut self, index: usize) -> Option<Datagram<'_>> {
        let header = &mut self.headers[..self.filled][index];
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let local = if self.bound.is_unspecified() {
            // SAFETY: the header came back from `recvmmsg`, and slots live as long as `self`.
            unsafe { packet_info::turn_round(&mut header.msg_hdr) }
        } else {
            Some(self.bound)
        };
        // SAFETY: `index` is below `filled`, thus below the number of slots; the result borrows `self`
        // mutably, so that nothing else reaches the slot meanwhile.
        let slot = unsafe { &mut *self.base.add(index) };
        let source = source(&slot.name, self.bound);
        let len = (header.msg_len as usize).min(FRAME_OCTETS);
        Some(Datagram { source, local, frame: &mut slot.frame, len })
    }

    /// Sets the reply's length in octets; 0 sends nothing.
    #[inline]
    pub(crate) fn set_reply_len(&mut self, index: usize, len: usize) {
        assert!(index < self.filled && len <= FRAME_OCTETS, "a reply fits its frame");
        // SAFETY: `index` is below the number of slots.
        unsafe { (*self.base.add(index)).iovec.iov_len = len };
    }

    /// Sends the replies; one that the kernel refuses is left out, the others still go.
    pub(crate) fn send(&mut self) -> SendOutcome {
        let mut outcome = SendOutcome::default();
        let (headers, count) = self.replies();
        let mut next = 0;
        while next < count {
            // SAFETY: `headers` has `count` entries; they point into slots that live as long as
            // `self`, with lengths that `set_reply_len` has checked.
            let sent = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    headers.add(next),
                    (count - next) as _,
                    libc::MSG_DONTWAIT as _,
                )
            };
            if let Ok(sent) = usize::try_from(sent) {
                // At least one, for the kernel reports an error of the first one as such.
                outcome.sent += sent;
                next += sent.max(1);
            } else if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                outcome.failed += 1;
                next += 1;
            }
        }
        outcome
    }

    /// The headers of datagrams with a reply: as received, or moved together if some have none.
    fn replies(&mut self) -> (*mut libc::mmsghdr, usize) {
        // SAFETY: the index is below the number of slots in both uses.
        let reply_len = |index: usize| unsafe { (*self.base.add(index)).iovec.iov_len };
        if (0..self.filled).all(|index| reply_len(index) > 0) {
            return (self.headers.as_mut_ptr(), self.filled);
        }
        let mut count = 0;
        for index in (0..self.filled).filter(|index| reply_len(*index) > 0) {
            self.outgoing[count] = self.headers[index];
            count += 1;
        }
        (self.outgoing.as_mut_ptr(), count)
    }
}

/// Reads a source address of the family that the socket has.
fn source(name: &Name, bound: IpAddr) -> SocketAddr {
    match bound {
        IpAddr::V4(_) => {
            // SAFETY: plain integers, valid whatever the kernel wrote.
            let name = unsafe { name.v4 };
            let ip = Ipv4Addr::from(name.sin_addr.s_addr.to_ne_bytes());
            SocketAddr::new(ip.into(), u16::from_be(name.sin_port))
        }
        IpAddr::V6(_) => {
            // SAFETY: plain integers, valid whatever the kernel wrote.
            let name = unsafe { name.v6 };
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            SocketAddrV6::new(ip, u16::from_be(name.sin6_port), 0, name.sin6_scope_id).into()
        }
    }
}
