//! The control message that tells which address a datagram was sent to.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// Octets of a control buffer: room for one `in6_pktinfo` (CMSG_SPACE(20) = 40), the larger of the two.
pub(super) const CONTROL_OCTETS: usize = 40;

/// Room for one control message, aligned as `cmsghdr` needs it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; CONTROL_OCTETS]);

/// Reads the address a datagram came to and turns its message into that of the reply.
///
/// The reply leaves from the same address. Its interface is left to the routing table, as the way back
/// need not be the way in (anycast, several uplinks); only link-local addresses keep theirs, since
/// they mean nothing without. Without a message the kernel chooses the address.
///
/// # Safety
///
/// `header` came back from a receive call, and its control pointer is still valid for reads and writes
/// of `msg_controllen` octets.
pub(super) unsafe fn turn_round(header: &mut libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the caller vouches for the control buffer; the macro checks its length.
    let message = unsafe { libc::CMSG_FIRSTHDR(header) };
    if message.is_null() {
        header.msg_controllen = 0;
        return None;
    }
    // SAFETY: the kernel wrote one whole message there; CMSG_DATA points into it, and its type tells
    // the struct. Control buffers are aligned to 8, both structs to 4.
    unsafe {
        match ((*message).cmsg_level, (*message).cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let info = &mut *libc::CMSG_DATA(message).cast::<libc::in_pktinfo>();
                info.ipi_ifindex = 0;
                Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into())
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let info = &mut *libc::CMSG_DATA(message).cast::<libc::in6_pktinfo>();
                let local = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                if !local.is_unicast_link_local() {
                    info.ipi6_ifindex = 0;
                }
                Some(local.into())
            }
            _ => {
                header.msg_controllen = 0;
                None
            }
        }
    }
}
