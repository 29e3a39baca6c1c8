//! The mock server on stdin and stdout, blocking.

use std::io::{self, Read, Write};

use bench::mock::Mock;

/// Answers line by line until the input ends; whatever has arrived together is answered in one write.
pub fn serve(mut mock: Mock) -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), raw_stdout()?);
    let (mut pending, mut answers) = (Vec::new(), Vec::new());
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = input.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        pending.extend_from_slice(&chunk[..read]);
        let Some(end) = memchr::memrchr(b'\n', &pending) else {
            continue;
        };
        for line in pending[..end].split(|byte| *byte == b'\n') {
            mock.answer(line, &mut answers);
        }
        output.write_all(&answers)?;
        answers.clear();
        pending.drain(..=end);
    }
}

/// Reads until the input ends and never answers.
pub fn swallow() -> io::Result<()> {
    io::copy(&mut io::stdin().lock(), &mut io::sink()).map(drop)
}

/// Stdout without the line buffer that the standard one puts before it.
fn raw_stdout() -> io::Result<std::fs::File> {
    use std::os::fd::AsFd;
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}
