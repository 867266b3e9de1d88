//! The UDP engine with the cheapest responder there is: what the engine itself costs.
//!
//! `cargo bench --bench udp_echo -- PORT [SECONDS] [WORKERS]` serves 127.0.0.1:PORT; a load generator
//! beside it does the measuring. Guess: the kernel's 3.3 us a query and 0.05 us of our own, as for a
//! bare recvmmsg/sendmmsg loop in C. Without a port it does nothing, so that tests can run it.
#![allow(clippy::disallowed_methods)]

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use rhumb::answer::Request;
use rhumb::runtime::respond::Respond;
use rhumb::runtime::udp::UdpSockets;

/// The fixed answer: a pointer to the question, A, IN, 30 s, 192.0.2.1.
const ANSWER: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 1];

/// Skips the question's name, puts the answer behind the question and drops EDNS.
#[derive(Clone)]
struct Echo;

impl Respond for Echo {
    fn begin_batch(&mut self) {}

    fn respond(&mut self, _: &Request, frame: &mut [u8], query_len: usize) -> usize {
        if query_len < 17 {
            return 0;
        }
        let mut at = 12;
        while at < query_len && frame[at] != 0 {
            at += usize::from(frame[at]) + 1;
        }
        at += 5;
        if at > query_len {
            return 0;
        }
        frame[2] |= 0x84;
        frame[3] = 0;
        frame[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
        frame[at..at + ANSWER.len()].copy_from_slice(&ANSWER);
        at + ANSWER.len()
    }

    fn unix_s(&self) -> u64 {
        0
    }
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u16>().ok());
    let Some(port) = numbers.next() else { return };
    let seconds = numbers.next().unwrap_or(10);
    let workers = usize::from(numbers.next().unwrap_or(1));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let sockets = UdpSockets::bind(&[address], workers).expect("the port is free");
    let server = sockets.start(Echo).expect("threads can be started");
    thread::sleep(Duration::from_secs(u64::from(seconds)));
    println!("{:?}", server.counters().totals());
    server.stop();
}
