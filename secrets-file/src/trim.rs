/// What becomes of a line break at the end of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trim {
    /// The final LF or CRLF is removed when the content is UTF-8 and holds no other line break.
    #[default]
    FinalNewline,
    /// Nothing is removed.
    Never,
}

impl Trim {
    pub(crate) fn apply(self, content: &[u8]) -> &[u8] {
        match self {
            Self::FinalNewline => without_final_newline(content),
            Self::Never => content,
        }
    }
}

fn without_final_newline(content: &[u8]) -> &[u8] {
    let Some(line) = content.strip_suffix(b"\n") else {
        return content;
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let single = !line.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
    if single && std::str::from_utf8(line).is_ok() {
        line
    } else {
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v3_only_the_one_final_line_break_of_a_text_is_removed() {
        for (content, trimmed) in [
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("\n", ""),
            ("\r\n", ""),
            ("", ""),
            ("a", "a"),
            (" a \n", " a "),
            ("\ta\u{a0}\n", "\ta\u{a0}"),
            ("a\n\n", "a\n\n"),
            ("a\nb\n", "a\nb\n"),
            ("a\nb", "a\nb"),
            ("\na\n", "\na\n"),
            ("a\r\r\n", "a\r\r\n"),
            ("a\rb\n", "a\rb\n"),
            ("a\r", "a\r"),
            ("\r", "\r"),
        ] {
            assert_eq!(
                Trim::FinalNewline.apply(content.as_bytes()),
                trimmed.as_bytes(),
                "{content:?}"
            );
            assert_eq!(Trim::Never.apply(content.as_bytes()), content.as_bytes());
        }
    }

    #[test]
    fn v3_what_is_not_text_keeps_its_final_byte() {
        assert_eq!(Trim::FinalNewline.apply(b"\xff\x00\n"), b"\xff\x00\n");
        assert_eq!(Trim::FinalNewline.apply(b"\xc3\n"), b"\xc3\n");
    }
}
