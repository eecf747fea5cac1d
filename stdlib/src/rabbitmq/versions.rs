//! Versions of RabbitMQ.

/// Major, minor and patch.
pub(super) type Version = (u32, u32, u32);

/// RabbitMQ 4.0 was the end of much, and gave quorum queues a limit on deliveries.
pub(super) fn is_since_4(version: &str) -> bool {
    is_since(version, (4, 0))
}

/// Whether a version is that one or a later one.
pub(super) fn is_since(version: &str, (major, minor): (u32, u32)) -> bool {
    is_from(version, (major, minor, 0))
}

/// The same, with the patch release that something came with.
pub(super) fn is_from(version: &str, from: Version) -> bool {
    parse(version).is_some_and(|version| version >= from)
}

/// The parts of `3.10.8`; of `4.3.0-rc.1` what stands before the `-`.
pub(super) fn parse(version: &str) -> Option<Version> {
    let number = version.split('-').next().unwrap_or_default();
    let mut parts = number.split('.').map(|part| part.parse::<u32>().ok());
    let mut part = || parts.next().flatten();
    Some((part()?, part().unwrap_or(0), part().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_numbers() {
        assert!(is_since("3.10.8", (3, 9)));
        assert!(!is_since("3.9.29", (3, 10)));
        assert!(is_from("4.3.3", (4, 3, 3)));
        assert!(is_from("4.3.10-rc.1", (4, 3, 3)));
        assert!(!is_from("4.3.2", (4, 3, 3)));
        assert!(is_from("4.4", (4, 3, 3)));
        assert!(!is_from("unknown", (0, 0, 0)));
    }
}
