use std::time::{Duration, SystemTime};

/// An instant as AWS writes it in text: RFC 3339, in UTC, with seconds.
pub(super) fn rfc3339(at: SystemTime) -> String {
    let seconds = since(at).as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// An instant as AWS writes it in JSON: seconds, with a fraction.
pub(super) fn seconds(at: SystemTime) -> f64 {
    (since(at).as_secs_f64() * 1000.0).round() / 1000.0
}

/// An instant as HTTP writes it: the SDKs correct their clocks by the header `Date`.
pub(super) fn http_date(at: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let seconds = since(at).as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let index = |number: u64| usize::try_from(number).unwrap_or(0);
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        DAYS[index(seconds / 86_400 % 7)],
        MONTHS[index(month - 1)],
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// The instant of a signature: `20300102T030405Z`.
pub(super) fn basic(text: &str) -> Option<SystemTime> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if text.len() != 16 || digits.len() != 14 {
        return None;
    }
    let part = |from: usize, to: usize| digits[from..to].parse::<u64>().ok();
    let date = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let days = (0..100_000).find(|day| civil(*day) == date)?;
    let clock = part(8, 10)? * 3_600 + part(10, 12)? * 60 + part(12, 14)?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400 + clock))
}

fn since(at: SystemTime) -> Duration {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Year, month and day, this many days after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that leap days come last.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_and_read_in_the_gregorian_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
        ] {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(rfc3339(at), text);
            assert_eq!(basic(&text.replace(['-', ':'], "")), Some(at));
        }
        assert_eq!(basic("yesterday"), None);
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
