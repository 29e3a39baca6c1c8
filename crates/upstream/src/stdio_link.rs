//! A server that is a child process: starting it through `sandbox`, and noticing its end.

use crate::duplex::{self, Duplex};
use crate::faults::Faults;
use crate::options::StdioOptions;
use crate::session::{Carrier, Session};
use crate::stderr;
use crate::supervisor::Shared;
use gate::Fault;
use mcp::stdio::{LineReader, child_pipes, outbox};
use sandbox::{Event, ExitKind, Launch, Net, Stderr, Watched};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Between closing a child's input and SIGTERM.
const FAREWELL: Duration = Duration::from_secs(2);
/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
/// How long the other half of the news of a child's end is waited for.
pub(crate) const NEWS: Duration = Duration::from_millis(250);

/// The streams of a conversation.
pub(crate) struct Streams {
    pub closing: CancellationToken,
    ended: oneshot::Receiver<()>,
    over: bool,
}

/// A conversation over two streams, with its reader and writer running.
pub(crate) fn converse<R, W>(shared: &Arc<Shared>, reader: R, writer: W) -> (Arc<Session>, Streams)
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let limits = shared.options.limits;
    let (outbox, writing) = outbox(writer, limits);
    let session = Session::new(shared.clone(), Carrier::Duplex(Duplex::Lines(outbox)));
    let closing = CancellationToken::new();
    let closed = closing.clone();
    shared.world.tasks.spawn(async move {
        // A failed write shows as the end of the stream or of the process.
        let _ = closed.run_until_cancelled_owned(writing.run()).await;
    });
    let (done, ended) = oneshot::channel::<()>();
    let reading = duplex::read(session.clone(), LineReader::new(reader, limits));
    let closed = closing.clone();
    shared.world.tasks.spawn(async move {
        closed.run_until_cancelled_owned(reading).await;
        drop(done);
    });
    (session, Streams { closing, ended, over: false })
}

impl Streams {
    /// Returns once nothing more will come.
    pub async fn ended(&mut self) {
        if !self.over {
            // The sender is dropped, never used.
            let _ = (&mut self.ended).await;
            self.over = true;
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

/// A child process and its streams. Dropping it ends the process and all it started.
pub(crate) struct Process {
    streams: Streams,
    lifeline: Watched,
    /// Once it has ended: how, if that is known.
    exit: Option<Option<ExitKind>>,
}

/// Starts the program and the conversation with it. A program or directory that a setting refers to may be told of, a
/// secret in its name may not.
pub(crate) async fn spawn(shared: &Arc<Shared>, options: &StdioOptions) -> Result<(Arc<Session>, Process), Fault> {
    start(shared, options).await.map_err(|fault| {
        let masks = shared.world.hub.masks();
        let text = |text: &str| masks.text(text).into_owned();
        Fault { what: text(&fault.what), hint: fault.hint.as_deref().map(text), ..fault }
    })
}

async fn start(shared: &Arc<Shared>, options: &StdioOptions) -> Result<(Arc<Session>, Process), Fault> {
    let faults = &shared.faults;
    let launch = plan(shared, options)?;
    let found = launch.program.clone();
    let helper = shared.world.helper.clone();
    let launched = tokio::task::spawn_blocking(move || sandbox::launch(&helper, &launch)).await;
    let child =
        launched.map_err(|_| faults.bug("could not be started"))?.map_err(|error| faults.not_launched(&error))?;
    let broken = |error: io::Error| faults.not_supervised(&error.to_string());
    if let Some(fd) = child.stderr {
        shared.world.tasks.spawn(stderr::drain(shared.clone(), fd));
    }
    let (writer, reader) = child_pipes(child.stdin, child.stdout).map_err(broken)?;
    let lifeline = Watched::new(child.lifeline).map_err(broken)?;
    let (session, streams) = converse(shared, reader, writer);
    let mut process = Process { streams, lifeline, exit: None };
    match process.next_event().await {
        Event::NotStarted { errno } => {
            let (program, path) = (found.to_string_lossy(), options.path_for_lookup.to_string_lossy());
            Err(faults.not_started(&program, errno, &path))
        }
        Event::NotConfined { step, errno } => Err(faults.not_confined(step, errno)),
        Event::Exited(exit) => Err(faults.exited(exit)),
        Event::Gone | Event::Lost => Err(faults.died("ended while it was started")),
        Event::Started { pid } => {
            tracing::debug!(target: "mcp::client", server = %shared.options.name, pid, "process started");
            shared.process_started(pid);
            child.effective.iter().for_each(|effective| shared.bound(effective));
            let net = options.profile.as_ref().map(|profile| &profile.net);
            if let (Some(way_out), Some(Net::Hosts(hosts))) = (child.egress, net) {
                let serving = sandbox::serve_egress(shared.options.name.to_string(), way_out, hosts.clone());
                let closing = process.streams.closing.clone();
                shared.world.tasks.spawn(closing.run_until_cancelled_owned(serving));
            }
            Ok((session, process))
        }
    }
}

/// The program itself, if it is there.
pub(crate) fn program(options: &StdioOptions, faults: &Faults) -> Result<PathBuf, Fault> {
    let path = &options.path_for_lookup;
    sandbox::resolve_program(&options.program, options.cwd.as_deref(), path)
        .map_err(|why| faults.not_found(&why, &path.to_string_lossy()))
}

fn plan(shared: &Shared, options: &StdioOptions) -> Result<Launch, Fault> {
    Ok(Launch {
        program: program(options, &shared.faults)?.into(),
        args: options.args.clone(),
        env: options.env.clone(),
        cwd: options.cwd.clone(),
        stderr: Stderr::Piped,
        grace: GRACE,
        profile: options.profile.as_deref().cloned(),
    })
}

impl Process {
    /// Returns when the process or its streams have ended, with what is known of why.
    pub async fn ended(&mut self, shared: &Shared) -> Fault {
        if self.exit.is_none() {
            tokio::select! {
                () = self.streams.ended() => {}
                exit = exit_of(&self.lifeline) => self.exit = Some(exit),
            }
        }
        // What it said before it ended is still read; how it ended may be told after its streams closed.
        // If either takes too long, what is known has to do.
        if self.exit.is_some() {
            let _ = timeout(NEWS, self.streams.ended()).await;
        } else if let Ok(exit) = timeout(NEWS, exit_of(&self.lifeline)).await {
            self.exit = Some(exit);
        }
        match self.exit {
            Some(Some(exit)) => shared.faults.exited(exit),
            Some(None) => shared.faults.died("ended; how is not known"),
            None => shared.faults.died("closed its output"),
        }
    }

    /// Asks it to end by closing its input, then ends it. Returns when nothing of it is left.
    pub async fn stop(mut self) {
        self.streams.closing.cancel();
        // Whether it left by itself or not, what it started has to go as well.
        let _ = timeout(FAREWELL, exit_of(&self.lifeline)).await;
        self.lifeline.terminate();
        let gone = async { while !matches!(self.next_event().await, Event::Gone | Event::Lost) {} };
        if timeout(GRACE + FAREWELL, gone).await.is_err() {
            self.lifeline.kill();
        }
    }

    async fn next_event(&mut self) -> Event {
        self.lifeline.next_event().await
    }
}

/// How the program ended; `None` if nobody can tell.
async fn exit_of(lifeline: &Watched) -> Option<ExitKind> {
    loop {
        match lifeline.next_event().await {
            Event::Exited(exit) => return Some(exit),
            Event::Gone | Event::Lost => return None,
            Event::Started { .. } | Event::NotStarted { .. } | Event::NotConfined { .. } => {}
        }
    }
}
