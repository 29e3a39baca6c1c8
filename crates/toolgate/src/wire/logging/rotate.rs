//! A log file that several processes append to, and that begins anew when it is long: what was before is kept in a few
//! older files, the newest `.1`. One line is one write, so lines of two processes never mix.
//! Not here: what is logged.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// A file that has reached this length is followed by another, in bytes.
const LONGEST: u64 = 10 << 20;

/// How many older files are kept.
const OLDER: u32 = 3;

/// After how many lines it is looked whether the file is long, or whether another process began a new one.
const LOOK_EVERY: u32 = 64;

/// The writing end.
pub(super) struct Rotating {
    path: PathBuf,
    file: File,
    longest: u64,
    unlooked: u32,
}

impl Rotating {
    /// Appends to the file at `path`, which is made if there is none, readable by its owner alone.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        Self::with(path, LONGEST)
    }

    fn with(path: PathBuf, longest: u64) -> io::Result<Self> {
        let file = append(&path)?;
        // The first line looks.
        Ok(Self { path, file, longest, unlooked: LOOK_EVERY })
    }

    /// Follows a file that another process has begun, and begins one when this is long.
    fn look(&mut self) -> io::Result<()> {
        self.unlooked = 0;
        if !self.is_current()? {
            self.file = append(&self.path)?;
        }
        if self.file.metadata()?.len() >= self.longest {
            self.begin_anew()?;
        }
        Ok(())
    }

    fn is_current(&self) -> io::Result<bool> {
        let own = self.file.metadata()?;
        Ok(fs::metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())))
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        let lock = append(&numbered(&self.path, "lock"))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            // Another process does it just now; this one follows at the next look.
            return Ok(());
        }
        if self.is_current()? {
            for number in (1..OLDER).rev() {
                // There may be none of that number yet.
                let _ = fs::rename(numbered(&self.path, number), numbered(&self.path, number + 1));
            }
            fs::rename(&self.path, numbered(&self.path, 1))?;
        }
        self.file = append(&self.path)?;
        Ok(())
    }
}

impl Write for Rotating {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.unlooked += 1;
        if self.unlooked > LOOK_EVERY {
            // A log that cannot begin anew goes on as it is: a full disk says so at the write.
            let _ = self.look();
        }
        self.file.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn numbered(path: &Path, end: impl std::fmt::Display) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{end}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path) -> Vec<String> {
        fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_long_log_begins_anew_and_the_oldest_goes() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.log");
        let mut log = Rotating::with(path.clone(), 1_000).expect("opened");
        let all: Vec<_> = (0..1_000).map(|number| format!("line {number:04}")).collect();
        for line in &all {
            log.write_all(format!("{line}\n").as_bytes()).expect("written");
        }
        let kept: Vec<_> = [3, 2, 1].iter().flat_map(|number| lines(&numbered(&path, number))).collect();
        let kept: Vec<_> = kept.into_iter().chain(lines(&path)).collect();
        assert!(all.ends_with(&kept), "the newest, in order");
        assert!((300..600).contains(&kept.len()), "{}", kept.len());
        assert!(!numbered(&path, 4).exists());
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
    }

    #[test]
    fn two_writers_lose_no_line_of_each_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.log");
        let mut writers = [(); 2].map(|()| Rotating::with(path.clone(), 6_000).expect("opened"));
        for number in 0..1_000 {
            for (of, writer) in writers.iter_mut().enumerate() {
                writer.write_all(format!("{of} {number:04}\n").as_bytes()).expect("written");
            }
        }
        let mut kept: Vec<_> = [3, 2, 1].iter().flat_map(|number| lines(&numbered(&path, number))).collect();
        kept.extend(lines(&path));
        kept.sort();
        kept.dedup();
        assert_eq!(kept.len(), 2_000);
    }

    #[test]
    fn a_log_that_somebody_deleted_is_made_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.log");
        let mut log = Rotating::with(path.clone(), 1_000).expect("opened");
        log.write_all(b"one\n").expect("written");
        fs::remove_file(&path).expect("removed");
        for _ in 0..=LOOK_EVERY {
            log.write_all(b"more\n").expect("written");
        }
        assert!(!lines(&path).is_empty());
    }
}
