//! How a database can store text.

/// The encodings a database can have ("Table 24.3. PostgreSQL Character Sets").
pub(super) const ENCODINGS: [&str; 35] = [
    "EUC_CN",
    "EUC_JIS_2004",
    "EUC_JP",
    "EUC_KR",
    "EUC_TW",
    "ISO_8859_5",
    "ISO_8859_6",
    "ISO_8859_7",
    "ISO_8859_8",
    "KOI8R",
    "KOI8U",
    "LATIN1",
    "LATIN2",
    "LATIN3",
    "LATIN4",
    "LATIN5",
    "LATIN6",
    "LATIN7",
    "LATIN8",
    "LATIN9",
    "LATIN10",
    "MULE_INTERNAL",
    "SQL_ASCII",
    "UTF8",
    "WIN1250",
    "WIN1251",
    "WIN1252",
    "WIN1253",
    "WIN1254",
    "WIN1255",
    "WIN1256",
    "WIN1257",
    "WIN1258",
    "WIN866",
    "WIN874",
];

/// The server's word for an encoding: `utf-8` is `UTF8`.
pub(super) fn encoding(text: &str) -> Option<&'static str> {
    let clean = |text: &str| -> String {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_uppercase())
            .collect()
    };
    let wanted = match clean(text).as_str() {
        "UNICODE" => "UTF8".to_owned(),
        other => other.to_owned(),
    };
    ENCODINGS.into_iter().find(|known| clean(known) == wanted)
}
