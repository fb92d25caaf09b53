//! A proxy that breaks connections as networks do: resets, black holes, half-closed ends, flipped bits, lost answers. It
//! counts what clients send, so that a test can tell what was sent twice.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use rustix::net::sockopt::set_socket_linger;

use crate::desktop::let_pass;

/// What happens to a connection, after so many bytes from the client.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Both ends are reset.
    Reset(u64),
    /// Nothing goes through any more, and nobody is told.
    BlackHole(u64),
    /// The server is told that the client has ended; the client is told nothing.
    HalfClose(u64),
    /// One bit is flipped, and all goes on.
    FlippedBit(u64),
    /// The server gets everything; its answer is lost, and the connection with it.
    LostAnswer(u64),
    /// Everything goes through, at so many bytes per second.
    Slow(u64),
}

/// A running proxy. It lives as long as the test program.
pub struct Proxy {
    /// Its address.
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    /// What happens to the next connections; those after are sound.
    faults: Mutex<VecDeque<Fault>>,
    from_clients: AtomicU64,
}

impl Proxy {
    /// A proxy before the server at an address, with what is to happen to its first connections.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn start(server: &str, faults: Vec<Fault>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let (server, faults) = (server.to_owned(), Mutex::new(faults.into()));
        let shared = Arc::new(Shared { server, faults, from_clients: AtomicU64::new(0) });
        let its_shared = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = its_shared.clone();
                std::thread::spawn(move || shared.connect(client));
            }
        });
        Ok(Self { url, shared })
    }

    /// Bytes that clients have sent so far, headers included.
    #[must_use]
    pub fn from_clients(&self) -> u64 {
        self.shared.from_clients.load(Ordering::SeqCst)
    }

    /// Faults that have not happened yet.
    #[must_use]
    pub fn num_faults_left(&self) -> usize {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Shared {
    fn connect(&self, client: TcpStream) {
        // A server that is away is a connection that ends at once.
        let Ok(server) = TcpStream::connect(&self.server) else { return };
        let fault = self.faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let (Ok(client_copy), Ok(server_copy)) = (client.try_clone(), server.try_clone()) else { return };
        let lost_from = match fault {
            Some(Fault::LostAnswer(from)) => Some(from),
            _ => None,
        };
        let sent = Arc::new(AtomicU64::new(0));
        let sent_so_far = sent.clone();
        std::thread::spawn(move || answers(server_copy, client_copy, lost_from, &sent_so_far));
        // The end of a connection is no error of the proxy.
        let _ = self.requests(client, server, fault, &sent);
    }

    fn requests(
        &self,
        mut client: TcpStream,
        mut server: TcpStream,
        fault: Option<Fault>,
        sent: &AtomicU64,
    ) -> std::io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        let mut at = 0u64;
        loop {
            let count = client.read(&mut buffer)?;
            if count == 0 {
                return server.shutdown(Shutdown::Write);
            }
            self.from_clients.fetch_add(count as u64, Ordering::SeqCst);
            let end = at + count as u64;
            let place = |from: u64| usize::try_from(from.saturating_sub(at)).unwrap_or_default();
            match fault {
                Some(Fault::Reset(from)) if from < end => {
                    server.write_all(&buffer[..place(from)])?;
                    for stream in [&client, &server] {
                        set_socket_linger(stream, Some(Duration::ZERO))?;
                        stream.shutdown(Shutdown::Both)?;
                    }
                    return Ok(());
                }
                Some(Fault::BlackHole(from)) if from < end => {
                    server.write_all(&buffer[..place(from)])?;
                    // Whatever the client still says is swallowed until it gives up.
                    while client.read(&mut buffer)? > 0 {}
                    return Ok(());
                }
                Some(Fault::HalfClose(from)) if from < end => {
                    server.write_all(&buffer[..place(from)])?;
                    server.shutdown(Shutdown::Write)?;
                    while client.read(&mut buffer)? > 0 {}
                    return Ok(());
                }
                Some(Fault::Slow(bytes_per_second)) => {
                    let_pass(Duration::from_secs(1) * count as u32 / bytes_per_second.max(1) as u32);
                }
                Some(Fault::FlippedBit(from)) if (at..end).contains(&from) => buffer[place(from)] ^= 0x10,
                _ => {}
            }
            server.write_all(&buffer[..count])?;
            at = end;
            sent.store(at, Ordering::SeqCst);
        }
    }
}

/// Carries answers back, until one is to be lost.
fn answers(mut server: TcpStream, mut client: TcpStream, lost_from: Option<u64>, sent: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count) = server.read(&mut buffer) {
        let is_lost = lost_from.is_some_and(|from| sent.load(Ordering::SeqCst) >= from);
        if count == 0 || is_lost || client.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // Either end may be gone already.
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
