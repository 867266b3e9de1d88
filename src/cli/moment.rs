//! Moments as operators write them: how long ago, at what time today, or an instant. All in UTC.

use std::time::Duration;
use std::time::UNIX_EPOCH;

/// Milliseconds since 1970 of `10m` (ago), `14:32` or `14:32:05` (the last time it was that late, in UTC), or an instant.
pub(super) fn parse_moment(text: &str, now_ms: u64) -> Result<u64, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        let ago_ms = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        return Ok(now_ms.saturating_sub(ago_ms));
    }
    if let Some(of_day_ms) = time_of_day_ms(text) {
        const DAY_MS: u64 = 86_400_000;
        let today = now_ms / DAY_MS * DAY_MS + of_day_ms;
        return Ok(if today > now_ms { today.saturating_sub(DAY_MS) } else { today });
    }
    let instant =
        humantime::parse_rfc3339_weak(text).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let instant_ms = |since: Duration| u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    instant.map(instant_ms).ok_or_else(|| {
        format!(
            "{text}: write how long ago (10m), a time of the last 24 hours in UTC (14:32), or an instant in UTC (2026-11-21T14:32:05Z)"
        )
    })
}

/// Milliseconds since midnight of `14:32` or `14:32:05`.
fn time_of_day_ms(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_number = |part: &&str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !(2..=3).contains(&parts.len()) || !parts.iter().all(is_number) {
        return None;
    }
    let number = |at: usize| parts.get(at).map_or(Some(0), |part| part.parse::<u64>().ok());
    let [hours, minutes, seconds] = [number(0)?, number(1)?, number(2)?];
    let is_time = hours < 24 && minutes < 60 && seconds < 60;
    is_time.then_some((hours * 3600 + minutes * 60 + seconds) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_an_age_a_time_of_day_or_an_instant() {
        // 2027-01-15T08:00:00Z
        let now_ms = 1_800_000_000_000;
        for (text, moment_ms) in [
            ("10m", now_ms - 600_000),
            ("0s", now_ms),
            ("08:00", now_ms),
            ("07:59:58", now_ms - 2_000),
            ("08:00:01", now_ms + 1_000 - 86_400_000),
            ("2027-01-15T07:00:00Z", now_ms - 3_600_000),
            ("2027-01-15 07:00:00", now_ms - 3_600_000),
            ("2027-01-15T07:00:00.250Z", now_ms - 3_599_750),
        ] {
            assert_eq!(parse_moment(text, now_ms), Ok(moment_ms), "{text}");
        }
        for wrong in ["", "soon", "24:00", "8:00", "08:60", "2027-13-01T00:00:00Z"] {
            assert!(parse_moment(wrong, now_ms).is_err(), "{wrong}");
        }
    }
}
