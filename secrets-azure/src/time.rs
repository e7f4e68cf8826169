//! The form of time that `azd` writes: RFC 3339.

use std::time::{Duration, SystemTime};

/// `2030-01-02T03:04:05.678Z`, or with an offset. `None` for anything else, and for instants before 1970.
pub(crate) fn rfc3339(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| number(part, 4));
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, offset) = if let Some(clock) = rest.strip_suffix('Z') {
        (clock, 0)
    } else {
        let at = rest.rfind(['+', '-'])?;
        let (hours, minutes) = rest[at + 1..].split_once(':')?;
        let offset = number(hours, 2)? * 3_600 + number(minutes, 2)? * 60;
        (
            &rest[..at],
            if rest[at..].starts_with('-') {
                -offset
            } else {
                offset
            },
        )
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.splitn(3, ':').map(|part| number(part, 2));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let plausible = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !plausible || fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = nanos.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    let since = Duration::from_secs(u64::try_from(seconds).ok()?) + Duration::from_nanos(nanos);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

fn number(digits: &str, longest: usize) -> Option<i64> {
    let plain =
        !digits.is_empty() && digits.len() <= longest && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// Days from 1970-01-01 in the Gregorian calendar; the year is counted from March, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_with_fraction_and_offset() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2030-01-01T00:00:00Z", 1_893_456_000_000),
            ("2024-02-29T23:59:59.999Z", 1_709_251_199_999),
            ("2000-03-01T00:00:00.5Z", 951_868_800_500),
            ("2018-03-22T02:24:06.945319214Z", 1_521_685_446_945),
            ("2030-01-01T02:00:00+02:00", 1_893_456_000_000),
            ("2029-12-31T19:00:00-05:00", 1_893_456_000_000),
        ] {
            let since = rfc3339(text)
                .unwrap()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap();
            assert_eq!(since.as_millis(), millis, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "T",
            "2030-01-01",
            "2030-13-01T00:00:00Z",
            "2030-01-01T24:00:00Z",
            "2030-01-01T00:00:00",
            "2030-01-01T00:00:00.Z",
            "2030-01-01T00:00Z",
            "1969-12-31T23:59:59Z",
            "2030-01-01T00:00:00+2",
            "é-1-1T0:0:0Z",
            "0001-01-01T00:00:00Z",
            "99999-01-01T00:00:00Z",
        ] {
            assert_eq!(rfc3339(bad), None, "{bad}");
        }
    }
}
