//! Reading and writing single files of the workspace. Not here: where they may lie, or how tools answer.

use super::roots::{Astray, Parent, Protected, Roots};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, fchmod, fsync, openat, renameat_with, unlinkat};
use rustix::io::Errno;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

/// How much of the beginning decides whether a file is text.
const SNIFFED: usize = 8 << 10;

/// How far into a file lines are counted.
const SKIP_MAX: usize = 1 << 30;

/// What part of a file is wanted, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The first line (from 1) of a text, or byte (from 0) otherwise.
    pub offset: Option<u64>,
    /// How many lines or bytes.
    pub limit: Option<u64>,
    /// As what; none looks at the file.
    pub encoding: Option<Encoding>,
    /// At most so many bytes.
    pub most: usize,
}

/// How the bytes of a file are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// As text.
    #[serde(rename = "utf-8")]
    Utf8,
    /// As base64.
    Base64,
}

/// A part of a file.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// As it was asked for.
    pub path: String,
    /// How `content` is written.
    pub encoding: Encoding,
    /// The part.
    pub content: String,
    /// Bytes in the whole file.
    pub size: u64,
    /// The first line or byte of the part.
    pub offset: u64,
    /// Lines or bytes in the part.
    pub count: u64,
    /// Whether more follows.
    pub truncated: bool,
    /// Where to go on, if more follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
}

/// Reads a part of a file.
///
/// # Errors
/// [`Astray`]; also for what is no file.
pub fn read(roots: &Roots, path: &str, wanted: Wanted) -> Result<Part, Astray> {
    let (spot, rest) = roots.find(path)?;
    // Opening a pipe or a device could block, or do something.
    let mut file = File::from(spot.open(&rest, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?);
    let io = |why: io::Error| Astray::Io { path: path.to_owned(), why };
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "it is a directory: use list_directory" } else { "it is no file" };
        return Err(Astray::Senseless(path.to_owned(), what));
    }
    let encoding = match wanted.encoding {
        Some(encoding) => encoding,
        None if is_text(&mut file).map_err(io)? => Encoding::Utf8,
        None => Encoding::Base64,
    };
    let part = match encoding {
        Encoding::Utf8 => lines(&mut file, wanted),
        Encoding::Base64 => bytes(&mut file, wanted, metadata.len()),
    };
    let (content, offset, count, next_offset) = part.map_err(io)?;
    let (size, truncated) = (metadata.len(), next_offset.is_some());
    Ok(Part { path: path.to_owned(), encoding, content, size, offset, count, truncated, next_offset })
}

fn is_text(file: &mut File) -> io::Result<bool> {
    let mut start = Vec::with_capacity(SNIFFED);
    file.take(SNIFFED as u64).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(!start.contains(&0)
        && match std::str::from_utf8(&start) {
            Ok(_) => true,
            // A letter may lie across the edge.
            Err(error) => error.error_len().is_none() && start.len() == SNIFFED,
        })
}

type Slice = (String, u64, u64, Option<u64>);

/// Whole lines, as long as they fit; of a line that never fits, its beginning.
fn lines(file: &mut File, wanted: Wanted) -> io::Result<Slice> {
    let first = wanted.offset.unwrap_or(1).max(1);
    let limit = wanted.limit.unwrap_or(u64::MAX);
    let mut reader = io::BufReader::with_capacity(1 << 16, file);
    let mut skipped = 0;
    for _ in 1..first {
        match skip_line(&mut reader, SKIP_MAX - skipped)? {
            0 => return Ok((String::new(), first, 0, None)),
            line => skipped += line,
        }
        if skipped >= SKIP_MAX {
            return Err(io::Error::other(
                "that line is too far from the beginning: read bytes, with `encoding` `base64`",
            ));
        }
    }
    let (mut text, mut count) = (Vec::new(), 0);
    while count < limit {
        let line = take_line(&mut reader, wanted.most + 1)?;
        if line.is_empty() {
            return Ok((String::from_utf8_lossy(&text).into_owned(), first, count, None));
        }
        if text.len() + line.len() > wanted.most {
            if count == 0 {
                let most = line.len().min(wanted.most);
                text.extend_from_slice(whole_letters(&line[..most]));
                return Ok((String::from_utf8_lossy(&text).into_owned(), first, 1, Some(first + 1)));
            }
            return Ok((String::from_utf8_lossy(&text).into_owned(), first, count, Some(first + count)));
        }
        text.extend_from_slice(&line);
        count += 1;
    }
    let more = !io::BufRead::fill_buf(&mut reader)?.is_empty();
    Ok((String::from_utf8_lossy(&text).into_owned(), first, count, more.then_some(first + count)))
}

/// A line, or as much of it as `most` bytes and what has been read with them.
fn skip_line(reader: &mut impl io::BufRead, most: usize) -> io::Result<usize> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        let (used, ended) = match memchr::memchr(b'\n', buffer) {
            Some(end) => (end + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(used);
        skipped += used;
        if ended || skipped >= most {
            return Ok(skipped);
        }
    }
}

/// A line with its end; of a longer one, `most` bytes and nothing more.
fn take_line(reader: &mut impl io::BufRead, most: usize) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    io::BufRead::read_until(&mut reader.take(most as u64), b'\n', &mut line)?;
    Ok(line)
}

/// Without a last letter that was cut.
fn whole_letters(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        Err(error) if error.error_len().is_none() => &text[..error.valid_up_to()],
        _ => text,
    }
}

fn bytes(file: &mut File, wanted: Wanted, size: u64) -> io::Result<Slice> {
    let first = wanted.offset.unwrap_or(0);
    let most = wanted.limit.unwrap_or(u64::MAX).min(wanted.most as u64);
    file.seek(SeekFrom::Start(first))?;
    let mut part = Vec::new();
    file.take(most).read_to_end(&mut part)?;
    let end = first + part.len() as u64;
    Ok((BASE64.encode(&part), first, part.len() as u64, (end < size).then_some(end)))
}

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// It is replaced.
    Overwrite,
    /// It grows.
    Append,
    /// It stays, and nothing is written.
    CreateNew,
}

/// What was written.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// As it was asked for.
    pub path: String,
    /// Bytes that were written.
    pub bytes: u64,
    /// Whether there was no such file before.
    pub created: bool,
}

/// Writes a file: all of it or nothing, with the permissions that it had.
///
/// # Errors
/// [`Astray`]; also if something stands there that is no file, or that may not.
pub fn write(
    roots: &Roots,
    path: &str,
    content: &[u8],
    mode: WriteMode,
    create_dirs: bool,
    protected: &Protected,
) -> Result<Written, Astray> {
    let (spot, rest) = roots.find(path)?;
    let parent = spot.parent(&rest, create_dirs, protected)?;
    let io = |why: io::Error| Astray::Io { path: path.to_owned(), why };
    let there = parent.there().map_err(io)?;
    if let Some(stat) = &there {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if mode == WriteMode::CreateNew => {
                return Err(io(io::ErrorKind::AlreadyExists.into()));
            }
            FileType::RegularFile => {}
            FileType::Symlink => {
                return Err(Astray::Senseless(path.to_owned(), "a link stands there: name what it leads to"));
            }
            _ => return Err(Astray::Senseless(path.to_owned(), "something stands there that is no file")),
        }
    }
    match (mode, &there) {
        (WriteMode::Append, Some(_)) => append(&parent, content).map_err(io)?,
        _ => {
            // Not the right to run as its owner: that was given to what stood in it before.
            let bits = there.as_ref().map(|stat| Mode::from_raw_mode(stat.st_mode & 0o777));
            let flags = if there.is_none() { RenameFlags::NOREPLACE } else { RenameFlags::empty() };
            let staged = Staged::write(&parent.dir, content, bits).map_err(io)?;
            staged.put(&parent, flags).map_err(io)?;
        }
    }
    Ok(Written { path: path.to_owned(), bytes: content.len() as u64, created: there.is_none() })
}

fn append(parent: &Parent, content: &[u8]) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut file = File::from(openat(&parent.dir, &parent.name, flags, Mode::empty())?);
    // Of what is open nothing can be exchanged any more. Under another name it may lie anywhere.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("something stands there that is no file"));
    }
    if metadata.nlink() > 1 {
        return Err(io::Error::other("it has another name, under which it would change too: overwrite it instead"));
    }
    file.write_all(content)?;
    file.sync_data()
}

/// New content beside the place it is meant for. Taken away again unless it is put there.
pub(super) struct Staged<'a> {
    dir: &'a OwnedFd,
    name: Option<String>,
}

impl<'a> Staged<'a> {
    pub fn write(dir: &'a OwnedFd, content: &[u8], mode: Option<Mode>) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut tries = 0;
        let (name, fd) = loop {
            let name = fresh_name()?;
            // What the process may not give away (its umask) new files do not get.
            match openat(dir, &name, flags, Mode::from_raw_mode(0o666)) {
                Err(Errno::EXIST) if tries < 16 => tries += 1,
                opened => break (name, opened?),
            }
        };
        let staged = Self { dir, name: Some(name) };
        if let Some(mode) = mode {
            fchmod(&fd, mode)?;
        }
        let mut file = File::from(fd);
        file.write_all(content)?;
        fsync(&file)?;
        Ok(staged)
    }

    pub fn put(mut self, parent: &Parent, flags: RenameFlags) -> io::Result<()> {
        let name = self.name.take().expect("put once");
        if let Err(errno) = renameat_with(self.dir, &name, &parent.dir, &parent.name, flags) {
            self.name = Some(name);
            return Err(errno.into());
        }
        Ok(fsync_dir(&parent.dir)?)
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            _ = unlinkat(self.dir, name, AtFlags::empty());
        }
    }
}

/// Handles to paths cannot be synced, so the directory is opened once more through its own.
pub(super) fn fsync_dir(dir: &OwnedFd) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fsync(openat(dir, ".", flags, Mode::empty())?)
}

/// A name that nobody else uses, and that nobody may ask for.
pub(super) fn fresh_name() -> io::Result<String> {
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!(".toolgate-{hex}"))
}

#[cfg(test)]
mod tests {
    use super::super::roots::PROTECTED;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const ALL: Wanted = Wanted { offset: None, limit: None, encoding: None, most: 1 << 20 };

    fn workspace() -> (tempfile::TempDir, Roots) {
        let temp = tempfile::tempdir().expect("temporary");
        let roots = Roots::open(&[temp.path().to_owned()]).expect("there");
        (temp, roots)
    }

    fn check(content: &[u8], wanted: Wanted, expected: (&str, u64, u64, Option<u64>)) {
        let (temp, roots) = workspace();
        std::fs::write(temp.path().join("f"), content).expect("written");
        let part = read(&roots, "f", wanted).expect("readable");
        assert_eq!((part.content.as_str(), part.offset, part.count, part.next_offset), expected);
    }

    #[test]
    fn parts_of_a_text_are_lines() {
        let text = b"one\ntwo\nthree\n";
        check(text, ALL, ("one\ntwo\nthree\n", 1, 3, None));
        check(text, Wanted { offset: Some(2), limit: Some(1), ..ALL }, ("two\n", 2, 1, Some(3)));
        check(text, Wanted { offset: Some(3), limit: Some(1), ..ALL }, ("three\n", 3, 1, None));
        check(text, Wanted { offset: Some(9), ..ALL }, ("", 9, 0, None));
        check(text, Wanted { most: 9, ..ALL }, ("one\ntwo\n", 1, 2, Some(3)));
        check(text, Wanted { most: 2, ..ALL }, ("on", 1, 1, Some(2)));
        check(b"", ALL, ("", 1, 0, None));
        check("aé\nb".as_bytes(), Wanted { most: 2, ..ALL }, ("a", 1, 1, Some(2)));
        check("é🙂".as_bytes(), ALL, ("é🙂", 1, 1, None));
    }

    #[test]
    fn parts_of_anything_else_are_bytes() {
        check(&[0, 1, 2, 3], ALL, ("AAECAw==", 0, 4, None));
        check(&[0, 1, 2, 3], Wanted { offset: Some(1), limit: Some(2), ..ALL }, ("AQI=", 1, 2, Some(3)));
        check(b"ab", Wanted { encoding: Some(Encoding::Base64), ..ALL }, ("YWI=", 0, 2, None));
        check(&[b'a', 0xff], ALL, ("Yf8=", 0, 2, None));
    }

    #[test]
    fn a_huge_file_is_read_in_parts_and_never_to_its_end() {
        let (temp, roots) = workspace();
        let file = File::create(temp.path().join("f")).expect("made");
        file.set_len(1 << 40).expect("sparse");
        let far = Wanted { offset: Some(1 << 39), limit: Some(3), ..ALL };
        assert_eq!(read(&roots, "f", far).expect("readable").content, "AAAA");
        let text = Some(Encoding::Utf8);
        assert_eq!(read(&roots, "f", Wanted { encoding: text, ..ALL }).expect("readable").content.len(), 1 << 20);
        let second = read(&roots, "f", Wanted { encoding: text, offset: Some(2), ..ALL }).expect_err("no such line");
        assert!(second.to_string().contains("too far from the beginning"), "{second}");
        for offset in [u64::MAX, 1 << 41] {
            let beyond = read(&roots, "f", Wanted { offset: Some(offset), ..ALL });
            assert!(beyond.is_err() || beyond.is_ok_and(|part| part.content.is_empty() && !part.truncated));
        }
    }

    #[test]
    fn nothing_is_appended_to_what_has_another_name() {
        let (temp, roots) = workspace();
        std::fs::create_dir(temp.path().join(".git")).expect("made");
        std::fs::write(temp.path().join(".git/config"), "safe").expect("written");
        std::fs::hard_link(temp.path().join(".git/config"), temp.path().join("f")).expect("linked");
        let put = |mode| write(&roots, "f", b"x", mode, false, &Protected::new(PROTECTED));
        let refused = put(WriteMode::Append).expect_err("two names").to_string();
        assert!(refused.contains("another name"), "{refused}");
        // Replacing it leaves the other name alone.
        put(WriteMode::Overwrite).expect("ours");
        assert_eq!(std::fs::read(temp.path().join(".git/config")).expect("there"), b"safe");
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let (temp, roots) = workspace();
        rustix::fs::mkfifoat(rustix::fs::CWD, temp.path().join("pipe"), Mode::from_raw_mode(0o600)).expect("made");
        for path in ["pipe", "."] {
            assert!(matches!(read(&roots, path, ALL), Err(Astray::Senseless(..))), "{path}");
        }
    }

    #[test]
    fn a_file_keeps_its_permissions_and_nothing_else_is_left() {
        let (temp, roots) = workspace();
        let protected = Protected::new(PROTECTED);
        let put = |path: &str, text: &str, mode| write(&roots, path, text.as_bytes(), mode, true, &protected);
        assert!(put("d/f", "one", WriteMode::Overwrite).expect("new").created);
        let file = temp.path().join("d/f");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o4755)).expect("ours");
        assert!(!put("d/f", "two", WriteMode::Overwrite).expect("there").created);
        put("d/f", "+", WriteMode::Append).expect("there");
        put("d/f", "x", WriteMode::CreateNew).expect_err("there");
        assert_eq!(std::fs::read_to_string(&file).expect("there"), "two+");
        assert_eq!(file.metadata().expect("there").permissions().mode() & 0o7777, 0o755);
        assert_eq!(std::fs::read_dir(temp.path().join("d")).expect("there").count(), 1);
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let (temp, roots) = workspace();
        let outside = tempfile::NamedTempFile::new().expect("temporary");
        std::os::unix::fs::symlink(outside.path(), temp.path().join("l")).expect("linked");
        for mode in [WriteMode::Overwrite, WriteMode::Append, WriteMode::CreateNew] {
            write(&roots, "l", b"x", mode, false, &Protected::new(PROTECTED)).expect_err("a link");
        }
        assert_eq!(std::fs::read(outside.path()).expect("there"), b"");
    }
}
