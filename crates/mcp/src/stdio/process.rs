//! Our own standard input and output, whatever they are.

use std::io;
use tokio::io::{AsyncRead, AsyncWrite};

/// Our standard input. Take it once.
///
/// # Errors
/// When the descriptor cannot be used.
pub fn stdin() -> io::Result<impl AsyncRead + Unpin + Send + 'static> {
    unimplemented!();
    #[expect(unreachable_code)]
    Ok(tokio::io::empty())
}

/// Our standard output. Take it once.
///
/// # Errors
/// When the descriptor cannot be used.
pub fn stdout() -> io::Result<impl AsyncWrite + Unpin + Send + 'static> {
    unimplemented!();
    #[expect(unreachable_code)]
    Ok(tokio::io::empty())
}
