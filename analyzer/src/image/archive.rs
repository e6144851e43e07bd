//! Archives of object files (ar), through the `object` crate: goblin does not read thin ones.
//!
//! The members of a thin archive are files of their own, of which it has the paths.

use object::read::archive::ArchiveFile;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Most members of an archive. The largest archives of a distribution have some ten thousand.
const MOST_MEMBERS: usize = 1 << 18;

/// One member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveMember {
    /// Its name; bytes that are not UTF-8, and control characters, are replaced.
    pub name: String,
    /// Its bytes.
    pub content: MemberContent,
}

/// The bytes of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberContent {
    /// This range of the archive.
    Inside(Range<usize>),
    /// The file at this path.
    File(PathBuf),
}

/// The members of an archive, as far as they can be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ArchiveMembers {
    /// The members in the order of the archive.
    pub members: Vec<ArchiveMember>,
    /// What is wrong with the archive.
    pub fault: Option<String>,
}

/// Whether `bytes` begin an archive, thin ones included.
#[must_use]
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"!<arch>\n") || bytes.starts_with(b"!<thin>\n")
}

/// The members of the archive `bytes`, the file at `path`. Tables of symbols and names are no
/// members.
#[must_use]
pub fn archive_members(bytes: &[u8], path: &Path) -> ArchiveMembers {
    let mut all = ArchiveMembers::default();
    let archive = match ArchiveFile::parse(bytes) {
        Ok(archive) => archive,
        Err(error) => {
            all.fault = Some(format!("damaged archive: {error}"));
            return all;
        }
    };
    for member in archive.members() {
        let number = all.members.len() + 1;
        let member = match member {
            Ok(_) if number > MOST_MEMBERS => {
                all.fault = Some(format!("expected at most {MOST_MEMBERS} members, found more"));
                break;
            }
            Ok(member) => member,
            Err(error) => {
                all.fault = Some(format!("damaged archive: member {number}: {error}"));
                break;
            }
        };
        let name = printable(member.name());
        let content = if member.is_thin() {
            let directory = path.parent().unwrap_or(Path::new(""));
            MemberContent::File(directory.join(String::from_utf8_lossy(member.name()).as_ref()))
        } else {
            let (start, size) = member.file_range();
            let end = start.checked_add(size).filter(|end| *end <= bytes.len() as u64);
            let range = usize::try_from(start).ok().zip(end.and_then(|end| end.try_into().ok()));
            let Some((start, end)) = range else {
                all.fault = Some(format!("damaged archive: {name} ends beyond the file"));
                break;
            };
            MemberContent::Inside(start..end)
        };
        all.members.push(ArchiveMember { name, content });
    }
    all
}

fn printable(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A member as GNU ar writes it, with its padding.
    fn member(name: &str, size: usize, bytes: &[u8]) -> Vec<u8> {
        let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, "100644");
        let padding = &b"\n"[..bytes.len() % 2];
        [header.as_bytes(), bytes, padding].concat()
    }

    fn names(all: &ArchiveMembers) -> Vec<&str> {
        all.members.iter().map(|member| member.name.as_str()).collect()
    }

    #[test]
    fn members_are_found() {
        let long = b"a_name_that_is_longer_than_sixteen.o/\n";
        let archive = [
            b"!<arch>\n".to_vec(),
            member("/", 4, &[0; 4]),
            member("//", long.len(), long),
            member("a.o/", 3, b"one"),
            member("/0", 2, b"22"),
            member("a.o/", 0, b""),
        ]
        .concat();
        assert!(is_archive(&archive) && !is_archive(b"\x7fELF"));
        let all = archive_members(&archive, Path::new("lib.a"));
        assert_eq!(all.fault, None);
        assert_eq!(names(&all), ["a.o", "a_name_that_is_longer_than_sixteen.o", "a.o"]);
        let content = |number: usize| match &all.members[number].content {
            MemberContent::Inside(range) => &archive[range.clone()],
            MemberContent::File(path) => panic!("{}", path.display()),
        };
        assert_eq!((content(0), content(1), content(2)), (&b"one"[..], &b"22"[..], &b""[..]));
    }

    #[test]
    fn members_of_a_thin_archive_are_files_beside_it() {
        let long = b"sub/a.o/\n";
        let thin = [b"!<thin>\n".to_vec(), member("//", long.len(), long), member("/0", 77, b"")];
        let all = archive_members(&thin.concat(), Path::new("/build/lib.a"));
        let content = MemberContent::File(PathBuf::from("/build/sub/a.o"));
        assert_eq!(all.members, [ArchiveMember { name: "sub/a.o".to_owned(), content }]);
        assert_eq!(all.fault, None);
    }

    #[test]
    fn damage_is_reported_after_the_members_before_it() {
        let sound = [b"!<arch>\n".to_vec(), member("a.o/", 3, b"one")].concat();
        for (name, rest) in [
            ("beyond the end", member("b.o/", 99, b"x")),
            (
                "no size",
                member("b.o/", 1, b"x")
                    .iter()
                    .map(|b| if *b == b'1' { b'-' } else { *b })
                    .collect(),
            ),
            ("cut", member("b.o/", 1, b"x")[..30].to_vec()),
            ("no such name", member("/77", 1, b"x")),
        ] {
            let all = archive_members(&[sound.clone(), rest].concat(), Path::new("lib.a"));
            assert_eq!(names(&all), ["a.o"], "{name}");
            assert!(all.fault.is_some_and(|fault| fault.starts_with("damaged archive")), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), is_thin in any::<bool>()) {
            let magic = if is_thin { b"!<thin>\n" } else { b"!<arch>\n" };
            let _ = archive_members(&[&magic[..], &bytes].concat(), Path::new("lib.a"));
        }
    }
}
