//! V: values come back as they are.

use secrets_core::{ErrorKind, ReadRequest};

use crate::Failure;
use crate::bench::{Bench, ensure, told};
use crate::facts::Alphabet;

/// Every byte of the store's alphabet, alone and in company.
pub(crate) async fn v1_bytes_come_back_identical(bench: &Bench<'_>) -> Result<(), Failure> {
    let (latin, wide) = ("àéîøüß", "日本語 Ελληνικά");
    let mut values: Vec<Vec<u8>> = vec![
        b"x".to_vec(),
        (1..=0x7f).collect(),
        b"\"quoted\\\" 'single' {\"a\":1} $HOME `x` %s %00 &amp; <a/>".to_vec(),
        format!("{latin}{wide}").into_bytes(),
        // What a reader that looks for a number, a truth or an encoding would change.
        b"007".to_vec(),
        b"1e3".to_vec(),
        b"true".to_vec(),
        b"null".to_vec(),
        b"aGVsbG8=".to_vec(),
        b"{\"value\":\"x\"}".to_vec(),
    ];
    if bench.facts().alphabet != Alphabet::Text {
        values.push((1..=0xff).collect());
        values.push((1..=0xff).rev().collect());
        values.push(b"\xff\xfe\xc3\x28".to_vec());
    }
    if bench.facts().alphabet == Alphabet::Bytes {
        values.push((0..=0xff).collect());
        values.push(b"\0".to_vec());
        values.push(b"before\0after".to_vec());
    }
    each(bench, "v1", &values).await
}

/// No name, a deleted one, a neighbour of one that exists, and the parent of one.
pub(crate) async fn v2_absent_is_not_found(bench: &Bench<'_>) -> Result<(), Failure> {
    let name = bench.name("v2/there");
    bench.create(&name, b"value").await?;
    bench.expect(&name, b"value").await?;
    for absent in ["v2/absent", "v2", "v2/ther", "v2/there2"] {
        let absent = bench.name(absent);
        bench
            .expect_kind(ReadRequest::new(&absent), &[ErrorKind::NotFound])
            .await?;
    }
    bench.delete(&name).await?;
    bench
        .expect_kind(ReadRequest::new(&name), &[ErrorKind::NotFound])
        .await?;
    Ok(())
}

/// An empty value is a value.
pub(crate) async fn v2_empty_is_not_absent(bench: &Bench<'_>) -> Result<(), Failure> {
    let name = bench.name("v2/empty");
    bench.create(&name, b"").await?;
    let secret = bench.expect(&name, b"").await?;
    ensure(secret.expose_str().is_ok(), || {
        format!("{} is empty, and has no text", told(&ReadRequest::new(&name)))
    })?;
    bench.update(&name, b"filled").await?;
    bench.expect(&name, b"filled").await?;
    bench.update(&name, b"").await?;
    bench.expect(&name, b"").await?;
    Ok(())
}

/// Nothing is trimmed, and no line ending turned into another.
pub(crate) async fn v3_white_space_survives(bench: &Bench<'_>) -> Result<(), Failure> {
    let values = [
        " x",
        "x ",
        "\tx\t",
        "\n",
        "x\n",
        "x\r\n",
        "x\r",
        "\nx",
        "\r\nx",
        "x\n\n",
        "x\r\n\r\n",
        "a\nb",
        "a\r\nb",
        "a\rb",
        "a\nb\n",
        "a\r\nb\r\n",
        "a\nb\r\nc",
        " ",
        "  x  y  ",
        "\u{a0}x\u{2003}",
        "x\u{85}",
        "x\u{2028}",
        "x\u{b}\u{c}",
    ];
    each(bench, "v3", &values.map(|value| value.as_bytes().to_vec())).await
}

/// Bytes that are no text are refused as text, and not shown.
pub(crate) async fn v4_text_of_bytes_is_invalid_data(bench: &Bench<'_>) -> Result<(), Failure> {
    let canary = bench.canary()?;
    let value = [b"\xff\xfe", canary.expose().as_bytes()].concat();
    let name = bench.name("v4/bytes");
    bench.create(&name, &value).await?;
    let secret = bench.expect(&name, &value).await?;
    let Err(error) = secret.expose_str() else {
        return Err(Failure::new("bytes that are not UTF-8 came back as text"));
    };
    ensure(error.kind() == ErrorKind::InvalidData, || {
        format!("text of bytes that are not UTF-8 was answered with {error}")
    })?;
    for text in [error.to_string(), format!("{error:?}")] {
        ensure(canary.find_in(&text).is_none(), || {
            "the error about bytes that are not UTF-8 shows them".into()
        })?;
    }
    Ok(())
}

/// Composed and decomposed, beyond the basic plane, right to left, joined, and with a byte order mark.
pub(crate) async fn v5_unicode_is_not_normalised(bench: &Bench<'_>) -> Result<(), Failure> {
    let values = [
        "caf\u{e9}",
        "cafe\u{301}",
        "\u{1d530}\u{10ffff}",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd}\u{200f}!",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "\u{feff}bom",
        "\u{fb01}\u{2126}\u{212b}\u{ff21}",
        "\u{130}I\u{131}i\u{df}\u{1e9e}",
        "\u{ac00}\u{1100}\u{1161}",
        "\u{fffd}\u{e000}",
    ];
    each(bench, "v5", &values.map(|value| value.as_bytes().to_vec())).await
}

/// As long as the store takes, up to 64 KiB, and a document of many lines.
pub(crate) async fn v6_large_values_come_back_whole(bench: &Bench<'_>) -> Result<(), Failure> {
    let longest = bench.facts().max_len.min(64 << 10);
    let mut values: Vec<_> = [longest, longest - 1, longest / 2 + 1, 4097, 1025]
        .into_iter()
        .filter(|&length| length <= longest)
        .map(counting)
        .collect();
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in counting(20 * 64).chunks(64) {
        if pem.len() + 64 + 30 < longest {
            pem.push_str(&String::from_utf8_lossy(line).replace('\n', "+"));
            pem.push('\n');
        }
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    values.push(pem.into_bytes());
    each(bench, "v6", &values).await
}

/// Text of which every part differs from every other, so that none can be lost, doubled or moved unseen.
fn counting(length: usize) -> Vec<u8> {
    let mut text = String::with_capacity(length + 8);
    let mut n = 0_u32;
    while text.len() < length {
        text.extend(format!("{n:05x}.").chars());
        n += 1;
    }
    text.truncate(length);
    text.into_bytes()
}

/// Writes each value under a name of its own, and reads them all.
async fn each(bench: &Bench<'_>, law: &str, values: &[Vec<u8>]) -> Result<(), Failure> {
    let name = |number: usize| bench.name(&format!("{law}/value{number}"));
    for (number, value) in values.iter().enumerate() {
        bench.create(&name(number), value).await?;
    }
    for (number, value) in values.iter().enumerate() {
        if bench.facts().expected(value).is_empty() && !bench.facts().empty_values {
            continue;
        }
        let secret = bench.secret(ReadRequest::new(&name(number))).await?;
        let what = format!("the value `{}`", printed(value));
        bench.ensure_is(&what, &secret, value)?;
        if let Ok(text) = std::str::from_utf8(bench.facts().expected(value)) {
            ensure(secret.expose_str().is_ok_and(|read| read == text), || {
                format!("{what} is not the same as text")
            })?;
        }
    }
    Ok(())
}

/// The kit's own value, which is no secret, for a message.
fn printed(value: &[u8]) -> String {
    let shown = value.escape_ascii().to_string();
    match shown.get(..60) {
        Some(beginning) => format!("{beginning}…"),
        None => shown,
    }
}
