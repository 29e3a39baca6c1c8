//! What a caller that asked for progress hears while its call waits for a person: that it waits, from time to time,
//! so that it does not give up. What a server says of its progress afterwards still only grows.

use crate::line::Out;
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// How often it is said. Clients give up after a minute as a rule.
pub(crate) const EVERY: Duration = Duration::from_secs(10);

/// How far a call is said to be.
#[derive(Default)]
pub(crate) struct Waiting {
    /// The last progress that was told. Held for single messages only, so that they go out in order.
    told: Mutex<Option<f64>>,
}

impl Waiting {
    /// Says under `token` that the call waits, at once and then once in each `every`, until it does no more.
    pub async fn tell(self: Arc<Self>, out: Out, token: Bytes, every: Duration, mut over: oneshot::Receiver<()>) {
        let mut ticks = tokio::time::interval(every);
        let mut count = 0_u32;
        loop {
            tokio::select! {
                biased;
                _ = &mut over => return,
                _ = ticks.tick() => {}
            }
            count = count.saturating_add(1);
            let progress = fraction(count);
            self.pass(&out, message(&token, progress), Some(progress));
        }
    }

    /// Passes a progress notification on, unless more was told before.
    pub fn pass(&self, out: &Out, message: Bytes, progress: Option<f64>) {
        let mut told = self.told.lock().expect("a message is sent without panic");
        match (progress, *told) {
            (Some(now), Some(before)) if now <= before => return,
            (Some(now), _) => *told = Some(now),
            (None, _) => {}
        }
        out.offer(message);
    }
}

/// Grows for ever and stays below 1, the first that servers tell.
fn fraction(count: u32) -> f64 {
    let count = f64::from(count);
    count / (count + 1_000.0)
}

fn message(token: &[u8], progress: f64) -> Bytes {
    let token = String::from_utf8_lossy(token);
    let params =
        format!(r#"{{"progressToken":{token},"progress":{progress},"message":"waiting for a person's approval"}}"#);
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Channel;

    #[tokio::test]
    async fn it_is_said_again_and_again_and_what_follows_grows() {
        let (waiting, channel) = (Arc::new(Waiting::default()), Arc::new(Channel::kept(1)));
        let out = Out::Stream(channel.clone());
        let (person, over) = oneshot::channel();
        let enough = async {
            while channel.last() < 7 {
                tokio::task::yield_now().await;
            }
            drop(person);
        };
        let tell = waiting.clone().tell(out.clone(), Bytes::from_static(b"\"p\""), Duration::from_millis(1), over);
        tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(tell, enough) }).await.expect("in time");
        for (progress, passed) in [(0.0, false), (1.0, true), (1.0, false), (0.5, false), (2.0, true)] {
            let before = channel.last();
            waiting.pass(&out, Bytes::from_static(b"{}"), Some(progress));
            assert_eq!(channel.last() > before, passed, "{progress}");
        }
        assert!((1..100_000).all(|n| fraction(n) < fraction(n + 1) && fraction(n) < 1.0));
        let json: serde_json::Value = serde_json::from_slice(&message(b"7", fraction(1))).expect("JSON");
        assert_eq!(json["params"]["progressToken"], 7);
    }
}
