//! One caller: a connection of its own, one request at a time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::answer::Answer;
use super::request::Wanted;

/// Whoever says nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(60);
const READ_BYTES: usize = 64 << 10;

/// A caller and what it asks, again and again.
pub struct Caller {
    address: SocketAddr,
    request: Vec<u8>,
    wanted: Wanted,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    reconnects: usize,
}

impl Caller {
    /// Not connected as yet.
    pub fn new(address: SocketAddr, request: Vec<u8>, wanted: Wanted) -> Self {
        Self { address, request, wanted, stream: None, buffer: vec![0; READ_BYTES], reconnects: 0 }
    }

    /// Connections that the peer closed between two answers.
    pub fn reconnects(&self) -> usize {
        self.reconnects
    }

    /// Asks, and reads the answer to its end.
    pub fn ask(&mut self) -> Result<()> {
        let was_kept = self.stream.is_some();
        let mut answer = Answer::new(self.wanted);
        let mut result = self.exchange(&mut answer);
        // Either side may close a connection at rest. Our request was not read then, and is sent once more.
        if result.is_err() && was_kept && !answer.has_begun() {
            self.reconnects += 1;
            self.stream = None;
            answer = Answer::new(self.wanted);
            result = self.exchange(&mut answer);
        }
        if result.is_err() || !answer.stays() {
            self.stream = None;
        }
        result
    }

    /// Connects beforehand.
    pub fn connect(&mut self) -> Result<&mut TcpStream> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address).context("cannot connect")?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream
            }
        };
        Ok(self.stream.insert(stream))
    }

    fn exchange(&mut self, answer: &mut Answer) -> Result<()> {
        self.connect()?;
        let Some(stream) = &mut self.stream else { bail!("not connected") };
        stream.write_all(&self.request).context("cannot send")?;
        loop {
            let read = stream.read(&mut self.buffer).context("cannot read")?;
            if read == 0 {
                bail!("the connection was closed before the answer's end");
            }
            if answer.feed(&self.buffer[..read], |_| ())? {
                return Ok(());
            }
        }
    }
}
