//! The files that AWS's tools keep configuration and tokens in.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

/// No file of tokens or profiles is larger.
const LONGEST: usize = 1024 * 1024;

/// The text of a regular file, in a buffer that is wiped.
///
/// # Errors
///
/// Those of the file system; `InvalidData` for what is no regular file, too large, or not UTF-8. A pipe is not opened: nobody
/// may ever write to it.
pub(crate) fn text(path: &Path) -> io::Result<Zeroizing<String>> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let found = std::fs::metadata(path)?;
    if !found.is_file() {
        return Err(invalid("it is no regular file"));
    }
    let length = usize::try_from(found.len()).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(invalid("it is larger than 1 MiB"));
    }
    // One more than there is, so that the end is seen without the buffer growing, which would leave the old one unwiped.
    let mut bytes = Zeroizing::new(vec![0; length + 1]);
    let (mut file, mut filled) = (File::open(path)?, 0);
    loop {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if filled > length {
            return Err(invalid("it grew while it was read"));
        }
    }
    let text = std::str::from_utf8(&bytes[..filled]).map_err(|_| invalid("it is not UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f4_what_is_no_regular_file_is_an_error_and_no_wait() {
        let folder = std::env::temp_dir();
        assert_eq!(text(&folder).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(
            text(Path::new("/dev/zero")).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        let absent = folder.join("secrets-aws-no-such-file");
        assert_eq!(text(&absent).unwrap_err().kind(), io::ErrorKind::NotFound);
        let path = folder.join(format!("secrets-aws-files-{}", std::process::id()));
        std::fs::write(&path, "tök\n").unwrap();
        assert_eq!(&*text(&path).unwrap(), "tök\n");
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(text(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        std::fs::write(&path, vec![b'x'; LONGEST + 1]).unwrap();
        assert_eq!(text(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        std::fs::remove_file(path).unwrap();
    }
}
