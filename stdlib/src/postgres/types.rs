//! The names of data types, and what changing one means for what is stored.
//!
//! Source: "Data Types" and "ALTER TABLE" in the PostgreSQL manual.

use super::sql;

/// A type in parts: `numeric(10,2)[]` is `numeric`, `10,2` and an array.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    base: String,
    size: Option<String>,
    array: bool,
}

/// What changing the type of a column means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Only the catalog changes.
    Free,
    /// Every row is written anew, and keeps what it holds.
    Rewrite,
    /// Values may be cut, rounded or refused.
    Lossy,
}

/// The server's word for a type: `int` is `integer`, `varchar(9)` is `character varying(9)`.
pub(super) fn normal(text: &str) -> String {
    let Parts { base, size, array } = parts(text);
    let sized = |word: &str| {
        size.as_ref().map_or_else(|| word.to_owned(), |size| format!("{word}({size})"))
    };
    let time = |word: &str, zone: &str| format!("{} {zone} time zone", sized(word));
    let plain = match base.as_str() {
        "int" | "int4" | "integer" => "integer".to_owned(),
        "int8" | "bigint" => "bigint".to_owned(),
        "int2" | "smallint" => "smallint".to_owned(),
        "bool" | "boolean" => "boolean".to_owned(),
        "float4" | "real" => "real".to_owned(),
        "float"
            if size
                .as_ref()
                .is_some_and(|size| size.parse::<u8>().is_ok_and(|bits| bits < 25)) =>
        {
            "real".to_owned()
        }
        "float" | "float8" | "double precision" => "double precision".to_owned(),
        "decimal" | "numeric" => match &size {
            Some(size) if !size.contains(',') => format!("numeric({size},0)"),
            _ => sized("numeric"),
        },
        "varchar" | "char varying" | "character varying" => sized("character varying"),
        "char" | "character" => format!("character({})", size.as_deref().unwrap_or("1")),
        "bpchar" if size.is_some() => sized("character"),
        "varbit" | "bit varying" => sized("bit varying"),
        "bit" => format!("bit({})", size.as_deref().unwrap_or("1")),
        "timestamptz" | "timestamp with time zone" => time("timestamp", "with"),
        "timestamp" | "timestamp without time zone" => time("timestamp", "without"),
        "timetz" | "time with time zone" => time("time", "with"),
        "time" | "time without time zone" => time("time", "without"),
        other => sized(other),
    };
    if array { format!("{plain}[]") } else { plain }
}

/// The server's word for a type, without its size: `varchar(9)` is `character varying`.
pub(super) fn without_size(text: &str) -> String {
    let normal = normal(text);
    let Parts { base, size, array } = parts(&normal);
    match size {
        Some(_) => format!("{base}{}", if array { "[]" } else { "" }),
        // `character` alone has a size.
        None => normal,
    }
}

/// A collation in a statement: `app.german` is of a schema, `en_US.utf8` the operating system's.
pub(super) fn collation(text: &str) -> String {
    let of_system = text.split_once('.').is_some_and(|(locale, encoding)| {
        let language = locale.split_once('_').map_or(locale, |(language, _)| language);
        let is_locale = ["C", "POSIX"].contains(&locale)
            || ((2..=3).contains(&language.len())
                && language.chars().all(|c| c.is_ascii_lowercase()));
        let encoding = encoding.split('@').next().unwrap_or_default().to_lowercase();
        let encoding = encoding.replace('-', "");
        let encodings =
            ["utf8", "iso8859", "euc", "koi8", "cp", "big5", "gb", "sjis", "tis620", "armscii"];
        is_locale && encodings.iter().any(|known| encoding.starts_with(known))
    });
    if of_system { sql::name(text) } else { sql::dotted(text) }
}

/// Puts what was written in the place of the server's name of a type or collation, where that is
/// the same with a schema in front that a session looks in, or `public`.
pub(super) fn keep(theirs: &mut String, ours: &str, schemas: &[String]) {
    let with = |schema: &str| format!("{}.{ours}", sql::listed(schema));
    let mut schemas = schemas.iter().map(String::as_str).chain(["public"]);
    if schemas.any(|schema| *theirs == with(schema)) {
        ours.clone_into(theirs);
    }
}

/// Whether two names of a type or collation say the same, with such a schema in front or without.
pub(super) fn are_alike(one: &str, other: &str, schemas: &[String]) -> bool {
    let kept = |theirs: &str, ours: &str| {
        let mut theirs = theirs.to_owned();
        keep(&mut theirs, ours, schemas);
        theirs == ours
    };
    kept(one, other) || kept(other, one)
}

/// Whether a text is a built-in type whose name has several words: `double precision`.
pub(super) fn has_several_words(text: &str) -> bool {
    let base = parts(text).base;
    matches!(
        base.as_str(),
        "double precision"
            | "char varying"
            | "character varying"
            | "bit varying"
            | "timestamp with time zone"
            | "timestamp without time zone"
            | "time with time zone"
            | "time without time zone"
    ) || base.strip_prefix("interval ").is_some_and(|fields| {
        let field =
            |word| ["year", "month", "day", "hour", "minute", "second", "to"].contains(&word);
        fields.split_whitespace().all(field)
    })
}

/// Whether it is one of the words that stand for an integer with a sequence.
pub(super) fn is_serial(text: &str) -> bool {
    let base = parts(text).base;
    ["serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"]
        .contains(&base.as_str())
}

/// What changing a column from one type to another means; both as [`normal`] writes them.
pub(super) fn change(from: &str, to: &str) -> Change {
    if from == to {
        return Change::Free;
    }
    let (was, is) = (parts(from), parts(to));
    if was.array || is.array {
        return Change::Lossy;
    }
    let numbers = |size: &Option<String>| -> Vec<u32> {
        let size = size.as_deref().unwrap_or_default();
        size.split(',').filter_map(|part| part.trim().parse().ok()).collect()
    };
    let (old, new) = (numbers(&was.size), numbers(&is.size));
    let roomier = is.size.is_none() || (was.size.is_some() && new.first() >= old.first());
    let whole = ["smallint", "integer", "bigint"];
    let rank = |base: &str| whole.iter().position(|word| *word == base);
    match (was.base.as_str(), is.base.as_str()) {
        ("character varying", "text") => Change::Free,
        ("text", "character varying") if is.size.is_none() => Change::Free,
        ("character varying" | "bit varying", same) if same == was.base && roomier => {
            Change::Free
        }
        ("numeric", "numeric")
            if is.size.is_none()
                || (!old.is_empty() && new.get(1) == old.get(1) && roomier) =>
        {
            Change::Free
        }
        ("real", "double precision") => Change::Rewrite,
        (number, "numeric") if rank(number).is_some() && is.size.is_none() => Change::Rewrite,
        (small, large) if rank(small) < rank(large) && rank(small).is_some() => Change::Rewrite,
        ("date", other) if other.starts_with("timestamp") => Change::Rewrite,
        (old, new)
            if old.starts_with("timestamp") && new.starts_with("timestamp") && roomier =>
        {
            Change::Rewrite
        }
        (_, "text") => Change::Rewrite,
        _ => Change::Lossy,
    }
}

fn parts(text: &str) -> Parts {
    let mut clean = String::new();
    let mut quoted = false;
    for c in text.trim().chars() {
        if c == '"' {
            quoted = !quoted;
        }
        match c {
            c if quoted => clean.push(c),
            c if c.is_whitespace() => {
                if !clean.ends_with(' ') {
                    clean.push(' ');
                }
            }
            c => clean.extend(c.to_lowercase()),
        }
    }
    for schema in ["pg_catalog.", "public."] {
        if let Some(rest) = clean.strip_prefix(schema) {
            clean = rest.to_owned();
        }
    }
    let mut array = false;
    if let Some(rest) = clean.strip_suffix(" array") {
        clean = rest.to_owned();
        array = true;
    }
    while let Some(open) = clean.rfind('[').filter(|_| clean.ends_with(']')) {
        clean.truncate(open);
        clean.truncate(clean.trim_end().len());
        array = true;
    }
    let size = clean.find('(').zip(clean.rfind(')')).filter(|(open, close)| open < close);
    let Some((open, close)) = size else { return Parts { base: clean, size: None, array } };
    let size: String = clean[open + 1..close].chars().filter(|c| !c.is_whitespace()).collect();
    let base = format!("{} {}", clean[..open].trim_end(), clean[close + 1..].trim_start());
    Parts { base: base.trim().to_owned(), size: Some(size), array }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_one_name() {
        for (written, normal_form) in [
            ("int", "integer"),
            (" INT8 []", "bigint[]"),
            ("integer[3][3]", "integer[]"),
            ("Varchar ( 9 )", "character varying(9)"),
            ("char", "character(1)"),
            ("\"char\"", "\"char\""),
            ("decimal(10)", "numeric(10,0)"),
            ("numeric(10, 2)", "numeric(10,2)"),
            ("timestamptz(3)", "timestamp(3) with time zone"),
            ("timestamp (3)  with time zone", "timestamp(3) with time zone"),
            ("time", "time without time zone"),
            ("float(10)", "real"),
            ("public.colour", "colour"),
            ("\"My Type\"", "\"My Type\""),
            ("app.\"Größe\"[]", "app.\"Größe\"[]"),
        ] {
            assert_eq!(normal(written), normal_form, "{written}");
            assert_eq!(normal(normal_form), normal_form);
        }
    }

    #[test]
    fn a_dot_in_a_collation_need_not_be_behind_a_schema() {
        for (written, expected) in [
            ("C", "\"C\""),
            ("en_US.utf8", "\"en_US.utf8\""),
            ("C.UTF-8", "\"C.UTF-8\""),
            ("de_DE.iso885915@euro", "\"de_DE.iso885915@euro\""),
            ("app.german", "\"app\".\"german\""),
            ("de.german", "\"de\".\"german\""),
        ] {
            assert_eq!(collation(written), expected, "{written}");
        }
    }

    #[test]
    fn what_a_change_does_to_rows() {
        for (from, to, expected) in [
            ("varchar(9)", "varchar(10)", Change::Free),
            ("varchar(9)", "text", Change::Free),
            ("varchar(9)", "varchar(8)", Change::Lossy),
            ("varchar", "varchar(8)", Change::Lossy),
            ("numeric(8,2)", "numeric(10,2)", Change::Free),
            ("numeric(8,2)", "numeric(10,3)", Change::Lossy),
            ("numeric", "numeric(10,3)", Change::Lossy),
            ("int", "bigint", Change::Rewrite),
            ("bigint", "int", Change::Lossy),
            ("int", "numeric", Change::Rewrite),
            ("timestamp", "timestamptz", Change::Rewrite),
            ("timestamptz", "date", Change::Lossy),
            ("date", "timestamptz", Change::Rewrite),
            ("int[]", "text", Change::Lossy),
            ("jsonb", "text", Change::Rewrite),
        ] {
            assert_eq!(change(&normal(from), &normal(to)), expected, "{from} to {to}");
        }
    }
}
