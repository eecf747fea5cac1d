//! Versions, durations and sizes.

use std::time::Duration;

use semver::{Version, VersionReq};

use super::arguments::{int, number, string, strings, text, texts};
use super::{Entry, Fault, Outcome, Run};
use crate::value::Value;

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        signature: "semver_compare(a: string, b: string) -> int",
        doc: "-1, 0 or 1: whether the first version comes before, is or comes after the second.",
        examples: &[
            (r#"semver_compare("1.9.0", "1.10.0")"#, "-1"),
            (r#"semver_compare("v2.0.0", "2.0.0-rc.1")"#, "1"),
        ],
        run: Run::Known(|a| {
            let (first, second) = (version(text(a, 0))?, version(text(a, 1))?);
            Ok(Value::Int(first.cmp_precedence(&second) as i64))
        }),
    },
    Entry {
        signature: "semver_matches(version: string, wanted: string) -> bool",
        doc: "Whether a version is one of those wanted, in the notation of Cargo.",
        examples: &[
            (r#"semver_matches("1.4.2", ">=1.2, <2")"#, "true"),
            (r#"semver_matches("2.0.0", "^1.2")"#, "false"),
        ],
        run: Run::Known(|a| {
            let wanted = text(a, 1);
            let wanted = VersionReq::parse(wanted).map_err(|error| {
                Fault::new(format!("`{wanted}` does not say which versions: {error}"))
                    .hint("write `^1.2`, `~1.2.3`, `>=1.2, <2` or `1.*`")
            })?;
            Ok(Value::Bool(wanted.matches(&version(text(a, 0))?)))
        }),
    },
    Entry {
        signature: "semver_parts(version: string) -> map",
        doc: "The parts of a version.",
        examples: &[(
            r#"semver_parts("1.2.3-rc.1+x")"#,
            r#"#{ major: 1, minor: 2, patch: 3, pre: "rc.1", build: "x" }"#,
        )],
        run: Run::Known(parts),
    },
    Entry {
        signature: "semver_sorted(versions: list) -> list",
        doc: "The versions, oldest first.",
        examples: &[(
            r#"semver_sorted(["1.10.0", "1.9.0", "1.10.0-rc.1"])"#,
            r#"["1.9.0", "1.10.0-rc.1", "1.10.0"]"#,
        )],
        run: Run::Known(|a| {
            let all = texts(a, 0, "versions")?;
            let parsed = all.into_iter().map(|text| Ok((version(text)?, text)));
            let mut parsed = parsed.collect::<Result<Vec<_>, Fault>>()?;
            parsed.sort();
            Ok(strings(parsed.into_iter().map(|(_, text)| text)))
        }),
    },
    Entry {
        signature: "duration_seconds(text: string) -> number",
        doc: "A duration in seconds; an integer when it is a whole number of them.",
        examples: &[
            (r#"duration_seconds("1h30m")"#, "5400"),
            (r#"duration_seconds("1500ms")"#, "1.5"),
        ],
        run: Run::Known(|a| {
            let text = text(a, 0);
            let duration = humantime::parse_duration(text).map_err(|error| {
                Fault::new(format!("`{text}` is not a duration: {error}"))
                    .hint("write `30s`, `5m`, `1h30m` or `2days`")
            })?;
            seconds(duration)
        }),
    },
    Entry {
        signature: "format_duration(seconds: number) -> string",
        doc: "A number of seconds in words that `duration_seconds` reads.",
        examples: &[
            ("format_duration(5400)", r#""1h 30m""#),
            ("format_duration(0.25)", r#""250ms""#),
        ],
        run: Run::Known(|a| {
            let seconds = number(a, 0);
            Duration::try_from_secs_f64(seconds)
                .map(|duration| string(humantime::format_duration(duration).to_string()))
                .map_err(|_| Fault::new(format!("{seconds} seconds are not a duration")))
        }),
    },
    Entry {
        signature: "bytes(text: string) -> int",
        doc: "A size in bytes, as Docker and PostgreSQL read it: `k`, `m`, `g` and `t`, with or without `b` or `ib`, are powers of 1024.",
        examples: &[
            (r#"bytes("512m")"#, "536870912"),
            (r#"bytes("1.5 GiB")"#, "1610612736"),
            (r#"bytes("100")"#, "100"),
        ],
        run: Run::Known(|a| {
            let text = text(a, 0);
            parse_size::Config::new()
                .with_binary()
                .parse_size(text)
                .map_err(|error| error.to_string())
                .and_then(|bytes| {
                    i64::try_from(bytes).map_err(|_| "it is too large".to_owned())
                })
                .map(Value::Int)
                .map_err(|error| {
                    Fault::new(format!("`{text}` is not a size: {error}"))
                        .hint("write `512m`, `1.5g` or a number of bytes")
                })
        }),
    },
    Entry {
        signature: "format_bytes(bytes: int) -> string",
        doc: "A number of bytes for people, in powers of 1024 and with one decimal at most.",
        examples: &[
            ("format_bytes(536870912)", r#""512 MiB""#),
            ("format_bytes(1536)", r#""1.5 KiB""#),
            ("format_bytes(100)", r#""100 B""#),
        ],
        run: Run::Known(|a| format_bytes(int(a, 0))),
    },
];

fn version(text: &str) -> Result<Version, Fault> {
    let plain = text.strip_prefix('v').unwrap_or(text);
    Version::parse(plain).map_err(|error| {
        Fault::new(format!("`{text}` is not a version: {error}"))
            .hint("a version has three numbers: `1.2.3`, `1.2.3-rc.1`")
    })
}

fn parts(arguments: &[Value]) -> Outcome {
    let version = version(text(arguments, 0))?;
    let number = |number: u64| {
        i64::try_from(number)
            .map(Value::Int)
            .map_err(|_| Fault::new(format!("the number {number} is too large")))
    };
    let entries = [
        ("major", number(version.major)?),
        ("minor", number(version.minor)?),
        ("patch", number(version.patch)?),
        ("pre", string(version.pre.as_str())),
        ("build", string(version.build.as_str())),
    ];
    Ok(Value::Map(entries.into_iter().map(|(key, part)| (key.to_owned(), part)).collect()))
}

fn seconds(duration: Duration) -> Outcome {
    if duration.subsec_nanos() > 0 {
        return Ok(Value::Float(duration.as_secs_f64()));
    }
    i64::try_from(duration.as_secs())
        .map(Value::Int)
        .map_err(|_| Fault::new("this duration is too long"))
}

fn format_bytes(bytes: i64) -> Outcome {
    let bytes = u64::try_from(bytes)
        .map_err(|_| Fault::new(format!("{bytes} is not a number of bytes")))?;
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let step = (bytes.max(1).ilog2() / 10) as usize;
    let unit = 1u64 << (10 * step);
    let (whole, tenth) = (bytes / unit, u128::from(bytes % unit) * 10 / u128::from(unit));
    let name = units[step];
    Ok(string(if tenth > 0 {
        format!("{whole}.{tenth} {name}")
    } else {
        format!("{whole} {name}")
    }))
}
