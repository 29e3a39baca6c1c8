//! What a client keeps for us between two rounds of a call: sealed, so that it can neither be read nor changed, and
//! is good for nothing but the call it was given for. What is done with it is not decided here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use gate::ApprovalId;
use gate::ports::Clock;
use std::fmt;
use std::io;
use std::sync::Arc;
use uuid::Uuid;

/// In front of each sealed state: whose it is, and in which form. Sealed along.
const MARK: &str = "tg1.";

const NONCE: usize = 24;

/// The longest state of a server that is passed on, in bytes.
pub(crate) const MOST_STATE: usize = 256 << 10;

/// A sealed state of that length, with all that goes along.
const MOST_SEALED: usize = MOST_STATE / 3 * 4 + 1_024;

const HAS_APPROVAL: u8 = 1;
const HAS_ROUND: u8 = 2;
const HAS_INNER: u8 = 4;
const MAY_LAST: u8 = 8;

/// Seals states, and opens those that it sealed. Whoever has the same key can open them too.
#[derive(Clone)]
pub struct Seal {
    /// None where there was no randomness for a key: then nothing can be sealed.
    cipher: Option<Arc<XChaCha20Poly1305>>,
    clock: Arc<dyn Clock>,
}

/// The key is never shown.
impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

/// What is kept in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// From when on it is good for nothing, in microseconds since 1970.
    pub expires: u64,
    /// The digest of the call it belongs to.
    pub binding: [u8; 32],
    /// The approval that the call waits for, or runs under.
    pub approval: Option<Bound>,
    /// The server's own state, as it spelled it: a raw JSON string.
    pub inner: Option<Box<str>>,
}

/// An approval that a state belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    /// Which one.
    pub id: ApprovalId,
    /// The round that the approved call goes on with; without, the question is still to be answered.
    pub round: Option<u32>,
    /// The question offered that a yes lasts for the conversation.
    pub may_last: bool,
}

/// Why a state is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It was not sealed here, or not left as it was.
    NotOurs,
    /// It belongs to another call.
    OtherCall,
    /// Its time is over.
    Expired,
}

impl Seal {
    /// Seals with `key`, which has to be random and secret. `clock` says when a state's time is over.
    pub fn new(key: &[u8; 32], clock: Arc<dyn Clock>) -> Self {
        Self { cipher: Some(Arc::new(XChaCha20Poly1305::new(key.into()))), clock }
    }

    /// Seals with a key that nobody else has: what is sealed is good for as long as this process runs.
    pub fn fleeting(clock: Arc<dyn Clock>) -> Self {
        let mut key = [0; 32];
        match getrandom::fill(&mut key) {
            Ok(()) => Self::new(&key, clock),
            Err(_) => Self { cipher: None, clock },
        }
    }

    /// Now, in microseconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        self.clock.wall_micros()
    }

    /// The state that a client is given.
    ///
    /// # Errors
    /// When there is no randomness.
    pub(crate) fn close(&self, kept: &Kept) -> io::Result<String> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        let payload = Payload { msg: &kept.write(), aad: MARK.as_bytes() };
        let cipher = self.cipher.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let sealed = cipher.encrypt(&nonce.into(), payload).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut state = MARK.to_owned();
        URL_SAFE_NO_PAD.encode_string([&nonce[..], &sealed].concat(), &mut state);
        Ok(state)
    }

    /// What a client was given to keep for the call of this digest.
    ///
    /// # Errors
    /// [`Broken`] if it is not what some client was given, not for this call, or too late.
    pub(crate) fn open(&self, state: &str, binding: &[u8; 32]) -> Result<Kept, Broken> {
        let kept = self.unsealed(state).ok_or(Broken::NotOurs)?;
        match kept {
            kept if kept.binding != *binding => Err(Broken::OtherCall),
            kept if kept.expires <= self.now() => Err(Broken::Expired),
            kept => Ok(kept),
        }
    }

    fn unsealed(&self, state: &str) -> Option<Kept> {
        let state = state.strip_prefix(MARK).filter(|state| state.len() <= MOST_SEALED)?;
        let bytes = URL_SAFE_NO_PAD.decode(state).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let payload = Payload { msg: sealed, aad: MARK.as_bytes() };
        Kept::read(&self.cipher.as_ref()?.decrypt(&(*nonce).into(), payload).ok()?)
    }
}

impl Kept {
    fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.inner.as_ref().map_or(0, |inner| inner.len()));
        out.extend_from_slice(&self.expires.to_be_bytes());
        out.extend_from_slice(&self.binding);
        out.push(self.flags());
        if let Some(approval) = self.approval {
            out.extend_from_slice(approval.id.0.as_bytes());
            out.extend_from_slice(&approval.round.unwrap_or_default().to_be_bytes());
        }
        out.extend_from_slice(self.inner.as_deref().unwrap_or_default().as_bytes());
        out
    }

    fn flags(&self) -> u8 {
        let flag = |on: bool, flag: u8| if on { flag } else { 0 };
        flag(self.approval.is_some(), HAS_APPROVAL)
            | flag(self.approval.is_some_and(|approval| approval.round.is_some()), HAS_ROUND)
            | flag(self.approval.is_some_and(|approval| approval.may_last), MAY_LAST)
            | flag(self.inner.is_some(), HAS_INNER)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (expires, rest) = bytes.split_first_chunk::<8>()?;
        let (binding, rest) = rest.split_first_chunk::<32>()?;
        let (flags, mut rest) = rest.split_first()?;
        let has = |flag: u8| flags & flag != 0;
        let mut approval = None;
        if has(HAS_APPROVAL) {
            let (id, after) = rest.split_first_chunk::<16>()?;
            let (round, after) = after.split_first_chunk::<4>()?;
            let round = has(HAS_ROUND).then_some(u32::from_be_bytes(*round));
            approval = Some(Bound { id: ApprovalId(Uuid::from_bytes(*id)), round, may_last: has(MAY_LAST) });
            rest = after;
        }
        let inner = std::str::from_utf8(rest).ok()?;
        Some(Self {
            expires: u64::from_be_bytes(*expires),
            binding: *binding,
            approval,
            inner: has(HAS_INNER).then(|| inner.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Hands(AtomicU64);

    impl Clock for Hands {
        fn wall_micros(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
        fn mono_micros(&self) -> u64 {
            self.wall_micros()
        }
    }

    fn seal(key: u8) -> (Seal, Arc<Hands>) {
        let hands = Arc::new(Hands(AtomicU64::new(50)));
        (Seal::new(&[key; 32], hands.clone()), hands)
    }

    fn kept() -> Kept {
        let id = ApprovalId(Uuid::from_u128(7));
        let approval = Some(Bound { id, round: Some(3), may_last: true });
        Kept { expires: 100, binding: [9; 32], approval, inner: Some("\"s\\u0020\"".into()) }
    }

    #[test]
    fn what_was_sealed_comes_back_to_whoever_has_the_key() {
        let bound = |round, may_last| Bound { id: ApprovalId(Uuid::from_u128(u128::MAX)), round, may_last };
        for approval in [None, Some(bound(None, true)), Some(bound(Some(0), false)), Some(bound(Some(u32::MAX), false))]
        {
            for inner in [None, Some(""), Some("\"é\"")] {
                let kept = Kept { approval, inner: inner.map(Into::into), ..kept() };
                let state = seal(1).0.close(&kept).expect("randomness");
                assert_eq!(seal(1).0.open(&state, &[9; 32]), Ok(kept));
            }
        }
    }

    #[test]
    fn a_state_shows_nothing_and_never_looks_the_same() {
        let (seal, _) = seal(1);
        let kept = Kept { inner: Some("the-state-of-the-server".into()), ..kept() };
        let (first, second) = (seal.close(&kept).expect("randomness"), seal.close(&kept).expect("randomness"));
        assert_ne!(first, second);
        let bytes = URL_SAFE_NO_PAD.decode(&first[MARK.len()..]).expect("base64");
        assert_eq!(memchr::memmem::find(&bytes, b"the-state"), None);
    }

    #[test]
    fn a_state_changed_anywhere_is_none() {
        let (seal, _) = seal(1);
        let state = seal.close(&kept()).expect("randomness");
        for at in 0..state.len() {
            for other in ["A", "b", "_", "."] {
                let mut changed = state.clone();
                changed.replace_range(at..=at, other);
                if changed != state {
                    assert_eq!(seal.open(&changed, &[9; 32]), Err(Broken::NotOurs), "{at} {other}");
                }
            }
        }
        for cut in 0..state.len() {
            assert_eq!(seal.open(&state[..cut], &[9; 32]), Err(Broken::NotOurs));
        }
        let long = format!("{MARK}{}", "A".repeat(MOST_SEALED + 1));
        for foreign in ["", "s", "tg1.", "tg2.AAAA", &format!("{state}A"), &format!(" {state}"), &long] {
            assert_eq!(seal.open(foreign, &[9; 32]), Err(Broken::NotOurs));
        }
    }

    #[test]
    fn a_state_is_for_one_call_and_for_some_time_and_of_one_key() {
        let (own, hands) = seal(1);
        let state = own.close(&kept()).expect("randomness");
        assert_eq!(own.open(&state, &[8; 32]), Err(Broken::OtherCall));
        assert_eq!(seal(2).0.open(&state, &[9; 32]), Err(Broken::NotOurs));
        hands.0.store(99, Ordering::Relaxed);
        assert!(own.open(&state, &[9; 32]).is_ok());
        hands.0.store(100, Ordering::Relaxed);
        assert_eq!(own.open(&state, &[9; 32]), Err(Broken::Expired));
    }
}
