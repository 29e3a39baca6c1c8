//! Server-sent events, both directions. What an event carries is not looked at.

use crate::limits::Limits;
use crate::splice::one_line;
use crate::stdio::overlong::Overlong;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use memchr::memchr2;
use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;
use thiserror::Error;

/// The buffer a line may leave behind, in bytes; a larger one goes with the line.
const KEPT_BYTES: usize = 256 << 10;

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The id, if this very event carried one; see [`Decoder::last_event_id`].
    pub id: Option<String>,
    /// The event type; `None` means `message`.
    pub event: Option<String>,
    /// The data lines, joined by newlines. Empty in a priming event.
    pub data: Bytes,
    /// The reconnection time, if this very event carried one; see [`Decoder::retry`].
    pub retry: Option<Duration>,
}

/// An event above `Limits::event_bytes`, thrown away as it came in. The events after it are readable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an event of {bytes} bytes is too long")]
pub struct TooLong {
    /// Its first bytes of data, at most 4 KiB.
    pub head: Bytes,
    /// Its last bytes, at most 4 KiB; those of an event of many lines may hold field names.
    pub tail: Bytes,
    /// Its length, without what came before its data.
    pub bytes: u64,
}

/// Makes events of a byte stream that is fed in pieces of any size.
#[derive(Debug)]
pub struct Decoder {
    longest: usize,
    buffer: BytesMut,
    /// How much of `buffer` is known to hold no line break.
    scanned: usize,
    /// The last line ended in a carriage return, so a newline that follows at once belongs to it.
    after_return: bool,
    /// Nothing was read yet: a byte order mark may come.
    at_start: bool,
    /// The beginning of the line in `buffer` was thrown away, so that its end is no blank line.
    cut: bool,
    block: Block,
    overlong: Option<Overlong>,
    last_event_id: Option<String>,
    retry: Option<Duration>,
}

/// The fields of the event that is being read.
#[derive(Debug, Default)]
struct Block {
    id: Option<String>,
    event: Option<String>,
    data: Data,
    retry: Option<Duration>,
}

/// The data of one event: one line is kept as it lies in the buffer, several are joined.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    Line(Bytes),
    Lines(BytesMut),
}

impl Decoder {
    /// A decoder at the start of a stream; an event may have `limits.event_bytes`.
    pub fn new(limits: &Limits) -> Self {
        Self {
            longest: limits.event_bytes,
            buffer: BytesMut::new(),
            scanned: 0,
            after_return: false,
            at_start: true,
            cut: false,
            block: Block::default(),
            overlong: None,
            last_event_id: None,
            retry: None,
        }
    }

    /// Takes the next piece of the stream.
    pub fn feed(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next complete event of what was fed; `None` means that more must be fed. What stands unfinished when
    /// the stream ends is no event. Call it until `None` before feeding more, so that little is held.
    #[expect(clippy::should_implement_trait, reason = "`None` is not the end")]
    pub fn next(&mut self) -> Option<Result<Event, TooLong>> {
        if self.at_start && !self.skip_mark() {
            return None;
        }
        loop {
            self.skip_newline();
            let Some(at) = memchr2(b'\r', b'\n', &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                self.bound();
                return None;
            };
            let line = self.take_line(self.scanned + at);
            if !line.is_empty() || self.cut {
                self.line(line);
            } else if let Some(event) = self.end_block() {
                return Some(event);
            }
        }
    }

    /// The id to resume after: the last one seen, even on a block without data. A server takes it back by an
    /// empty one.
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref().filter(|id| !id.is_empty())
    }

    /// The reconnection time the server asked for last.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Drops a byte order mark; `false` while there may be half of one.
    fn skip_mark(&mut self) -> bool {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if self.buffer.starts_with(MARK) {
            self.buffer.advance(MARK.len());
        } else if MARK.starts_with(&self.buffer) {
            return false;
        }
        self.at_start = false;
        true
    }

    fn skip_newline(&mut self) {
        if self.after_return && !self.buffer.is_empty() {
            self.after_return = false;
            if self.buffer[0] == b'\n' {
                self.buffer.advance(1);
            }
        }
    }

    fn take_line(&mut self, end: usize) -> Bytes {
        let line = self.buffer.split_to(end).freeze();
        self.after_return = self.buffer[0] == b'\r';
        self.buffer.advance(1);
        self.scanned = 0;
        if line.len() > KEPT_BYTES {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        line
    }

    fn line(&mut self, line: Bytes) {
        if self.overlong.is_some() || self.is_too_long(&line) {
            self.drop_piece(&line);
        } else {
            self.field(line);
        }
        self.cut = false;
    }

    fn is_too_long(&self, line: &[u8]) -> bool {
        self.block.data.len() + line.len() > self.longest + "data: ".len()
    }

    fn field(&mut self, line: Bytes) {
        let colon = memchr::memchr(b':', &line).unwrap_or(line.len());
        let mut value = line.slice((colon + 1).min(line.len())..);
        if value.first() == Some(&b' ') {
            value.advance(1);
        }
        match &line[..colon] {
            b"data" => self.block.data.push(value),
            b"event" => self.block.event = Some(text(&value)).filter(|event| !event.is_empty()),
            b"id" if !value.contains(&0) => {
                self.block.id = Some(text(&value));
                self.last_event_id.clone_from(&self.block.id);
            }
            b"retry" => {
                if let Some(retry) = milliseconds(&value) {
                    self.block.retry = Some(retry);
                    self.retry = Some(retry);
                }
            }
            _ => {}
        }
    }

    fn end_block(&mut self) -> Option<Result<Event, TooLong>> {
        let Block { id, event, data, retry } = std::mem::take(&mut self.block);
        if let Some(overlong) = self.overlong.take() {
            let (head, tail, bytes) = overlong.finish();
            return Some(Err(TooLong { head, tail, bytes }));
        }
        let data = match data {
            Data::None => return None,
            Data::Line(line) => line,
            Data::Lines(lines) => lines.freeze(),
        };
        Some(Ok(Event { id, event, data, retry }))
    }

    /// Holds an unfinished line to the bound. A few bytes may still become the name of its field, which is no part of an
    /// event's length.
    fn bound(&mut self) {
        let fits = || self.buffer.len() < "data: ".len() || !self.is_too_long(&self.buffer);
        if self.overlong.is_none() && fits() || self.buffer.is_empty() {
            return;
        }
        let piece = std::mem::take(&mut self.buffer);
        self.scanned = 0;
        self.drop_piece(&piece);
        self.cut = true;
    }

    /// Drops a line or a part of one, of an event that is too long.
    fn drop_piece(&mut self, piece: &[u8]) {
        let Some(overlong) = &mut self.overlong else { return self.give_up(piece) };
        overlong.push(if self.cut { b"" } else { b"\n" });
        overlong.push(piece);
    }

    /// Keeps no more than the ends of an event that begins with the data so far and `piece`.
    fn give_up(&mut self, piece: &[u8]) {
        let mut overlong = Overlong::default();
        match std::mem::take(&mut self.block.data) {
            Data::None => {}
            Data::Line(line) => overlong.push(&line),
            Data::Lines(lines) => overlong.push(&lines),
        }
        let data = piece.strip_prefix(b"data:").unwrap_or(piece);
        overlong.push(data.strip_prefix(b" ").unwrap_or(data));
        self.overlong = Some(overlong);
    }
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Line(line) => line.len() + 1,
            Self::Lines(lines) => lines.len() + 1,
        }
    }

    fn push(&mut self, line: Bytes) {
        match self {
            Self::None => *self = Self::Line(line),
            Self::Line(first) => {
                let mut lines = BytesMut::with_capacity(2 * (first.len() + line.len()) + 2);
                lines.extend_from_slice(first);
                *self = Self::Lines(lines);
                self.push(line);
            }
            Self::Lines(lines) => {
                lines.put_u8(b'\n');
                lines.extend_from_slice(&line);
            }
        }
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

fn milliseconds(value: &[u8]) -> Option<Duration> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = digits.then(|| std::str::from_utf8(value).ok()?.parse().ok());
    number.flatten().map(Duration::from_millis)
}

/// A comment that keeps an idle stream open.
pub const KEEP_ALIVE: &[u8] = b":\n\n";

/// The event that carries one JSON document. Raw line breaks in it become spaces.
pub fn encode(frame_json: &Bytes, id: Option<&str>) -> Bytes {
    const REST: &[u8] = b"event: message\ndata: ";
    let json = one_line(frame_json.clone());
    let id = id.map(field_value).unwrap_or_default();
    let mut out = Vec::with_capacity(json.len() + id.len() + REST.len() + 8);
    if !id.is_empty() {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(id.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(REST);
    out.extend_from_slice(&json);
    out.extend_from_slice(b"\n\n");
    out.into()
}

/// The event without data that gives a stream its first id (2025-11-25).
pub fn encode_priming(id: &str, retry: Option<Duration>) -> Bytes {
    let mut out = format!("id: {}\n", field_value(id));
    if let Some(retry) = retry {
        writeln!(out, "retry: {}", retry.as_millis()).expect("a string takes all");
    }
    out.push_str("data: \n\n");
    out.into()
}

/// `text` without what would end the field.
fn field_value(text: &str) -> Cow<'_, str> {
    if text.contains(['\r', '\n', '\0']) { text.replace(['\r', '\n', '\0'], "").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn decode(pieces: &[&[u8]], longest: usize) -> (Vec<Result<Event, TooLong>>, Decoder) {
        let mut decoder = Decoder::new(&Limits { event_bytes: longest, ..Limits::default() });
        let mut events = Vec::new();
        for piece in pieces {
            decoder.feed(piece);
            events.extend(std::iter::from_fn(|| decoder.next()));
        }
        (events, decoder)
    }

    fn check(stream: &str, want: Expect) {
        let mut out = String::new();
        let (events, decoder) = decode(&[stream.as_bytes()], 1 << 20);
        for event in events {
            let Event { id, event, data, retry } = event.expect("short events");
            writeln!(out, "{id:?} {event:?} {data:?} {retry:?}").expect("a string takes all");
        }
        write!(out, "last id {:?}, retry {:?}", decoder.last_event_id(), decoder.retry()).expect("a string takes all");
        want.assert_eq(&out);
    }

    #[test]
    fn every_line_ending_ends_a_line() {
        for ending in ["\n", "\r", "\r\n"] {
            let stream = "data: a\n\ndata: b\n\n".replace('\n', ending);
            check(
                &stream,
                expect![[r#"
                    None None b"a" None
                    None None b"b" None
                    last id None, retry None"#]],
            );
        }
    }

    #[test]
    fn data_lines_are_joined() {
        check(
            "data: a\ndata:b\ndata\ndata:  c\n\n",
            expect![[r#"
                None None b"a\nb\n\n c" None
                last id None, retry None"#]],
        );
    }

    #[test]
    fn comments_and_unknown_fields_are_skipped() {
        check(
            ": hello\n\n:\ncolour: red\nDATA: no\ndata: yes\n\n",
            expect![[r#"
                None None b"yes" None
                last id None, retry None"#]],
        );
    }

    #[test]
    fn a_byte_order_mark_is_skipped_once() {
        check(
            "\u{feff}data: a\n\n\u{feff}data: b\n\n",
            expect![[r#"
                None None b"a" None
                last id None, retry None"#]],
        );
    }

    #[test]
    fn id_type_and_retry_are_read() {
        check(
            "id: 7\nevent: endpoint\nretry: 500\ndata: /x\n\ndata: y\n\n",
            expect![[r#"
                Some("7") Some("endpoint") b"/x" Some(500ms)
                None None b"y" None
                last id Some("7"), retry Some(500ms)"#]],
        );
    }

    #[test]
    fn broken_ids_and_retries_are_ignored() {
        check(
            "id: 7\nid: a\0b\nretry: 1s\nretry:\nretry: -1\nretry: 99999999999999999999999\n\n",
            expect![[r#"last id Some("7"), retry None"#]],
        );
        check("id: 7\n\nid\n\n", expect!["last id None, retry None"]);
    }

    #[test]
    fn a_block_without_data_is_no_event_but_a_priming_event_is_one() {
        check("event: x\nid: 1\n\n", expect![[r#"last id Some("1"), retry None"#]]);
        check(
            "id: 1\nretry: 10\ndata:\n\n",
            expect![[r#"
                Some("1") None b"" Some(10ms)
                last id Some("1"), retry Some(10ms)"#]],
        );
    }

    #[test]
    fn what_is_unfinished_at_the_end_is_no_event() {
        check(
            "data: a\n\ndata: b\n",
            expect![[r#"
            None None b"a" None
            last id None, retry None"#]],
        );
    }

    #[test]
    fn an_event_comes_out_with_its_last_byte() {
        for ending in ["\n\n", "\r\r", "\r\n\r\n"] {
            let stream = format!("data: a{ending}");
            // The newline of the last pair says nothing new.
            let enough = if ending.len() == 4 { stream.len() - 1 } else { stream.len() };
            let (events, _) = decode(&[&stream.as_bytes()[..enough]], 100);
            assert_eq!(events.len(), 1, "{ending:?}");
            let (events, _) = decode(&[&stream.as_bytes()[..enough - 1]], 100);
            assert_eq!(events.len(), 0, "{ending:?}");
        }
    }

    fn check_length(stream: &str, longest: usize, kept: bool) {
        for size in [1, 2, 7, 1000] {
            let all = format!("{stream}\n\ndata: next\n\n").into_bytes();
            let (events, _) = decode(&all.chunks(size).collect::<Vec<_>>(), longest);
            assert_eq!(events[0].is_ok(), kept, "{stream} in pieces of {size}");
            assert!(matches!(&events[1], Ok(Event { data, .. }) if data == "next"), "{stream} in pieces of {size}");
            assert_eq!(events.len(), 2);
        }
    }

    #[test]
    fn the_bound_holds_and_the_event_after_a_long_one_is_read() {
        check_length("data: 12345678", 8, true);
        check_length("data: 123456789", 8, false);
        check_length("data: 1234\ndata: 5", 100, true);
        check_length("data: 1\n".repeat(50).trim_end(), 80, false);
        check_length(&format!("data: 1\nid: {}\ndata: 2", "x".repeat(90)), 80, false);
        check_length(&format!("data: {}", "x".repeat(90_000)), 1000, false);
    }

    #[test]
    fn both_ends_of_a_long_event_are_kept() {
        let stream = format!("data: {{\"id\":1,{}}}\n\n", "x".repeat(100_000));
        let (events, decoder) = decode(&stream.as_bytes().chunks(999).collect::<Vec<_>>(), 10_000);
        let Err(TooLong { head, tail, bytes }) = &events[0] else { panic!("it is too long") };
        assert!(head.starts_with(b"{\"id\":1,x") && tail.ends_with(b"x}"));
        assert_eq!((head.len(), tail.len(), *bytes), (4096, 4096, 100_009));
        assert!(decoder.buffer.capacity() < 50_000);
    }

    #[test]
    fn an_endless_event_costs_no_memory() {
        let mut decoder = Decoder::new(&Limits { event_bytes: 10_000, ..Limits::default() });
        let piece = [b"data: ".as_slice(), &[b'x'; 5000], b"\n"].concat();
        for _ in 0..10_000 {
            decoder.feed(&piece);
            assert_eq!(decoder.next(), None);
        }
        assert!(decoder.buffer.capacity() < 100_000, "{}", decoder.buffer.capacity());
        assert_eq!(decoder.block.data.len(), 0);
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let json = Bytes::from_static(b"{\"a\":\r\n1}");
        let stream = [
            encode_priming("0", Some(Duration::from_millis(1500))),
            KEEP_ALIVE.into(),
            encode(&json, None),
            encode(&json, Some("4\n2")),
        ]
        .concat();
        check(
            std::str::from_utf8(&stream).expect("text"),
            expect![[r#"
                Some("0") None b"" Some(1.5s)
                None Some("message") b"{\"a\":  1}" None
                Some("42") Some("message") b"{\"a\":  1}" None
                last id Some("42"), retry Some(1.5s)"#]],
        );
    }

    #[test]
    fn a_field_name_in_two_pieces_is_no_part_of_what_was_too_long() {
        let stream = b"data\ndata:aaaaaaaaaa\ndata:aaaaa\ndata\ndata: \n\n";
        let (whole, _) = decode(&[stream], 16);
        assert!(whole[0].is_err(), "{whole:?}");
        for at in 1..stream.len() {
            assert_eq!(decode(&[&stream[..at], &stream[at..]], 16).0, whole, "{at}");
        }
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(
            lines in proptest::collection::vec(
                (prop_oneof!["data: ?[a-c]{0,12}", "data", "id: [0-9\0]{0,3}", "event: x?", "retry: [0-9]{0,4}", ":[ab]{0,20}", "", "\u{feff}"],
                 prop_oneof!["\n", "\r", "\r\n"]), 0..40),
            cuts in proptest::collection::vec(1usize..9, 0..200),
        ) {
            let stream: String = lines.into_iter().map(|(line, ending)| line + &ending).collect();
            let (whole, _) = decode(&[stream.as_bytes()], 16);
            let (mut rest, mut pieces) = (stream.as_bytes(), Vec::new());
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            prop_assert_eq!(decode(&pieces, 16).0, whole);
        }

        #[test]
        fn no_bytes_break_the_decoder(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..20)) {
            decode(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>(), 16);
        }
    }
}
