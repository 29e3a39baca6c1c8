//! stdio on both sides: two blocking threads.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::hop::Hop;

/// Copies bytes both ways until the client's input ends.
pub fn forward(mut child: Child) -> io::Result<()> {
    let (to, from) = pipes(&mut child)?;
    let (input, output) = own_ends()?;
    let down = thread::spawn(move || copy(from, output));
    let up = copy(input, to);
    finish(child, down, up)
}

/// Parses and rewrites line by line both ways.
pub fn rewrite(mut child: Child) -> io::Result<()> {
    let (to, from) = pipes(&mut child)?;
    let (input, output) = own_ends()?;
    let hop = Arc::new(Mutex::new(Hop::new(true)));
    let theirs = hop.clone();
    let down = thread::spawn(move || each_chunk(from, output, |line, out| answer(&theirs, line, out)));
    let up = each_chunk(input, to, |line, out| {
        let sent = hop.lock().expect("no holder panics").outgoing(line);
        out.extend(sent.into_iter().flat_map(|sent| sent.line));
    });
    finish(child, down, up)
}

fn answer(hop: &Mutex<Hop>, line: &[u8], out: &mut Vec<u8>) {
    if let Some((_, line)) = hop.lock().expect("no holder panics").incoming(line) {
        out.extend_from_slice(&line);
        out.push(b'\n');
    }
}

fn finish(mut child: Child, down: thread::JoinHandle<io::Result<()>>, up: io::Result<()>) -> io::Result<()> {
    down.join().map_err(|_| io::Error::other("the reading thread panicked"))??;
    child.wait()?;
    up
}

fn pipes(child: &mut Child) -> io::Result<(File, File)> {
    let missing = || io::Error::other("the child has no pipe");
    let to = child.stdin.take().ok_or_else(missing)?;
    let from = child.stdout.take().ok_or_else(missing)?;
    Ok((std::os::fd::OwnedFd::from(to).into(), std::os::fd::OwnedFd::from(from).into()))
}

fn own_ends() -> io::Result<(File, File)> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    Ok((input.into(), output.into()))
}

/// Plain reads and writes: `io::copy` would splice, which no hop that looks at its bytes can.
fn copy(mut from: File, mut to: File) -> io::Result<()> {
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(()),
            read => to.write_all(&chunk[..read])?,
        }
    }
}

fn each_chunk(mut from: File, mut to: File, mut each: impl FnMut(&[u8], &mut Vec<u8>)) -> io::Result<()> {
    let (mut pending, mut out) = (Vec::new(), Vec::new());
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        let fresh = pending.len();
        pending.extend_from_slice(&chunk[..read]);
        let Some(end) = memchr::memrchr(b'\n', &pending[fresh..]) else {
            continue;
        };
        for line in pending[..fresh + end].split(|byte| *byte == b'\n') {
            each(line, &mut out);
        }
        to.write_all(&out)?;
        out.clear();
        pending.drain(..=fresh + end);
    }
}
