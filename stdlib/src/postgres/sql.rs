//! Writing SQL, and what several kinds share.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dollop_engine::error::CallError;
use dollop_engine::resource::Wanted;
use futures::StreamExt;
use postgres_protocol::escape::{escape_identifier, escape_literal};

use crate::text::Text;

/// How many databases are read side by side.
pub(super) const DATABASES: usize = 4;

/// A name in a statement.
pub(super) fn name(name: &str) -> String {
    escape_identifier(name)
}

/// The schema things are in when nothing is said.
pub(super) fn public() -> String {
    "public".to_owned()
}

/// A name with the name of its schema in front, in a statement.
pub(super) fn in_schema(schema: &str, object: &str) -> String {
    format!("{}.{}", name(schema), name(object))
}

/// A name that may have the name of a schema in front of a dot: `app.german`.
pub(super) fn dotted(text: &str) -> String {
    match text.split_once('.') {
        Some((schema, object)) => in_schema(schema, object),
        None => name(text),
    }
}

/// A name that may have the name of a schema in front of a dot, by its whole name: without one
/// it is in `public`, whatever the session looks in first.
pub(super) fn whole(text: &str) -> String {
    let (schema, object) = text.split_once('.').unwrap_or(("public", text));
    in_schema(schema, object)
}

/// The one form of a name that may have the name of a schema in front of a dot: what is in
/// `public` goes without. As [`bare`] gives it.
pub(super) fn without_public(text: &mut String) {
    if let Some(object) = text.strip_prefix("public.") {
        *text = object.to_owned();
    }
}

/// The expression for that form, from the names of a schema and of something in it.
pub(super) fn bare(schema: &str, object: &str) -> String {
    format!(
        "case when {schema} = 'public' then {object}::text else {schema} || '.' || {object} end"
    )
}

/// Several names: `"a", "b"`.
pub(super) fn names<'a>(all: impl IntoIterator<Item = &'a String>) -> String {
    all.into_iter().map(|one| name(one)).collect::<Vec<_>>().join(", ")
}

/// A text in a statement.
pub(super) fn text(text: &str) -> String {
    escape_literal(text)
}

/// A mark to put around a text that does not hold it: `$dollop$`.
pub(super) fn tag(text: &str) -> String {
    let tags = (0_u32..).map(|number| match number {
        0 => "$dollop$".to_owned(),
        _ => format!("$dollop{number}$"),
    });
    tags.into_iter().find(|tag| !text.contains(tag.as_str())).unwrap_or_default()
}

/// A text in a statement, or NULL.
pub(super) fn text_or_null(value: Option<&str>) -> String {
    value.map_or_else(|| "NULL".to_owned(), text)
}

/// An empty text is none: the server forgets an empty comment.
pub(super) fn none_when_empty(value: &mut Option<String>) {
    *value = value.take().filter(|text| !text.is_empty());
}

/// The statement that gives something of the whole server, or a schema, another name.
pub(super) fn rename(what: &str, from: &str, to: &str) -> String {
    format!("ALTER {what} {} RENAME TO {}", name(from), name(to))
}

/// A statement about the membership of one role in another, for everybody who granted it: from
/// PostgreSQL 16 on each grant is one of its own, and a statement that does not say whose it is
/// about only warns when the others stay. Who may not speak for one of them is told their name.
/// What the server itself granted to whoever made a role stays as long as the role.
/// Both roles are names as they stand in a statement.
pub(super) fn of_each_grantor(role: &str, member: &str, statement: &str) -> String {
    let body = format!(
        "DECLARE
    granted pg_catalog.text;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog', true);
    FOR granted IN SELECT DISTINCT CASE WHEN current_setting('server_version_num')::int >= 160000
            THEN format(' GRANTED BY %I', pg_get_userbyid(m.grantor)) ELSE '' END
        FROM pg_auth_members m WHERE m.roleid = {}::regrole AND m.member = {}::regrole
            AND NOT (current_setting('server_version_num')::int >= 160000 AND m.grantor = 10
                AND pg_get_userbyid(m.member) = current_user AND NOT pg_has_role(m.grantor, 'USAGE'))
    LOOP
        EXECUTE {} || granted;
    END LOOP;
END",
        text(role),
        text(member),
        text(statement).trim_start(),
    );
    let tag = tag(&body);
    format!("DO {tag}{body}{tag}")
}

/// Looks for many objects of the whole server with one query, which gives them by their names.
/// `number` is what the server knows one by for life.
pub(super) async fn on_server<S, Row, Fetch, Answer>(
    wanted: &[Wanted<S>],
    fetch: Fetch,
    number: impl Fn(&Row) -> i64,
) -> Vec<Result<Option<Row>, CallError>>
where
    Row: Clone,
    Fetch: FnOnce(Vec<String>) -> Answer,
    Answer: Future<Output = Result<HashMap<String, Row>, CallError>>,
{
    let declared = |wanted: &Wanted<S>| wanted.name.natural.clone();
    let known = |wanted: &Wanted<S>| wanted.id.clone().unwrap_or_else(|| declared(wanted));
    let names: BTreeSet<String> =
        wanted.iter().flat_map(|wanted| [known(wanted), declared(wanted)]).collect();
    let rows = match fetch(names.into_iter().collect()).await {
        Ok(rows) => rows,
        Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
    };
    // The very one first: by now another may have the name that this one had.
    let row = |wanted: &Wanted<S>| {
        let names = [known(wanted), declared(wanted)];
        let mut there = names.iter().filter_map(|name| rows.get(name));
        let it = there.find(|row| is_it(wanted, number(row)));
        it.or_else(|| rows.get(&names[0])).cloned()
    };
    wanted.iter().map(|wanted| Ok(row(wanted))).collect()
}

/// The row of something that was there a moment ago.
pub(super) fn still_there<Row>(
    rows: Vec<Row>,
    what: &str,
    place: &Place,
) -> Result<Row, CallError> {
    rows.into_iter().next().ok_or_else(|| {
        let Place { database, name } = place;
        CallError::refused(format!("{what} `{name}` is not in database `{database}` any more"))
            .hint("plan again")
    })
}

/// Whether an object with this number is the one that was made: it has its new name already
/// when a run that gave it that was killed before it could write it down.
pub(super) fn is_it<S>(wanted: &Wanted<S>, oid: i64) -> bool {
    let recorded = wanted.facts.as_ref().and_then(|facts| facts.get("oid"));
    recorded.and_then(serde_json::Value::as_i64) == Some(oid)
}

/// The id of an object that is known by several names.
pub(super) fn id(parts: &[&str]) -> String {
    serde_json::Value::from(parts.to_vec()).to_string()
}

/// Where an object of a database is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) database: String,
    pub(super) name: String,
}

impl Place {
    /// From the id it was made under, or else from what the script says.
    pub(super) fn of(id: Option<&str>, database: &str, name: &str) -> Self {
        let parts = id.and_then(|id| serde_json::from_str::<(String, String)>(id).ok());
        let (database, name) = parts.unwrap_or_else(|| (database.to_owned(), name.to_owned()));
        Self { database, name }
    }

    pub(super) fn id(&self) -> String {
        id(&[&self.database, &self.name])
    }
}

/// Looks for many named objects with one query per database, the databases side by side.
/// `fetch` gets a database and the names wanted there.
pub(super) async fn by_database<S, Row, Fetch, Answer>(
    wanted: &[Wanted<S>],
    place: impl Fn(&Wanted<S>) -> Place,
    fetch: Fetch,
) -> Vec<Result<Option<Row>, CallError>>
where
    Row: Clone,
    Fetch: Fn(String, Vec<String>) -> Answer,
    Answer: Future<Output = Result<Vec<(String, Row)>, CallError>>,
{
    let places: Vec<_> = wanted.iter().map(place).collect();
    let mut names: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for place in &places {
        names.entry(&place.database).or_default().push(place.name.clone());
    }
    // Asked for before the stream exists: a closure inside of it would not be `Send`.
    let asked: Vec<_> = names
        .into_iter()
        .map(|(database, names)| {
            let answer = fetch(database.to_owned(), names);
            async move { (database, answer.await.map(HashMap::<String, Row>::from_iter)) }
        })
        .collect();
    let answers: HashMap<&str, _> =
        futures::stream::iter(asked).buffer_unordered(DATABASES).collect().await;
    places
        .iter()
        .map(|place| match answers.get(place.database.as_str()) {
            Some(Ok(rows)) => Ok(rows.get(&place.name).cloned()),
            Some(Err(error)) => Err(error.clone()),
            None => Ok(None),
        })
        .collect()
}

/// What a list in a setting is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ListOf {
    /// Names as in SQL: in lower case unless they are quoted.
    Names,
    /// Files and folders, as they are written.
    Paths,
}

/// Settings whose value is a list that the server stores quoted item by item
/// (`GUC_LIST_QUOTE`).
const LISTS: [(&str, ListOf); 6] = [
    ("local_preload_libraries", ListOf::Paths),
    ("search_path", ListOf::Names),
    ("session_preload_libraries", ListOf::Paths),
    ("shared_preload_libraries", ListOf::Paths),
    ("temp_tablespaces", ListOf::Names),
    ("unix_socket_directories", ListOf::Paths),
];

/// The items of a setting that is a list.
fn listed_in(key: &str, value: &str) -> Option<Vec<String>> {
    let (_, of) = LISTS.iter().find(|(name, _)| *name == key)?;
    Some(items(value, *of))
}

/// A value of a setting in the form in which the server stores it.
pub(super) fn normal_value(key: &str, value: &Text) -> Text {
    match listed_in(key, &value.0) {
        Some(items) => {
            let items: Vec<_> = items.iter().map(|item| listed(item)).collect();
            Text(items.join(", "))
        }
        None => value.clone(),
    }
}

/// The names in a list as SQL has it: `Price, "total"` is `price` and `total`.
pub(super) fn names_in(list: &str) -> Vec<String> {
    items(list, ListOf::Names)
}

/// Brings settings to the form in which `pg_db_role_setting` and scripts agree.
pub(super) fn normalize_settings(settings: &mut BTreeMap<String, Text>) {
    *settings = std::mem::take(settings)
        .into_iter()
        .map(|(key, value)| {
            let key = key.trim().to_lowercase();
            let value = normal_value(&key, &value);
            (key, value)
        })
        .collect();
}

/// The settings of `pg_db_role_setting.setconfig`: `name=value` each.
pub(super) fn read_settings(stored: &[String]) -> BTreeMap<String, Text> {
    stored
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(key, value)| (key.to_owned(), Text(value.to_owned())))
        .collect()
}

/// Statements that turn settings into others; `on` is `ALTER ROLE "app"`.
pub(super) fn change_settings(
    on: &str,
    from: &BTreeMap<String, Text>,
    to: &BTreeMap<String, Text>,
) -> Vec<String> {
    let gone = from.keys().filter(|key| !to.contains_key(*key));
    let resets = gone.map(|key| format!("{on} RESET {}", setting(key)));
    let changed = to.iter().filter(|(key, value)| from.get(*key) != Some(value));
    let sets = changed.map(|(key, value)| format!("{on} {}", set(key, value)));
    resets.chain(sets).collect()
}

/// `SET "work_mem" = '8MB'`.
pub(super) fn set(key: &str, value: &Text) -> String {
    let value = match listed_in(key, &value.0) {
        Some(items) => {
            let items: Vec<_> = items.iter().map(|item| text(item)).collect();
            // An empty list is one empty text.
            if items.is_empty() { text("") } else { items.join(", ") }
        }
        None => text(&value.0),
    };
    format!("SET {} = {value}", setting(key))
}

/// The name of a setting: `work_mem`, `app.tenant`.
pub(super) fn setting(key: &str) -> String {
    let parts: Vec<_> = key.split('.').map(name).collect();
    parts.join(".")
}

/// Options of a foreign server, table or user as the catalog has them: `name=value` each.
pub(super) fn options(options: &BTreeMap<String, Text>) -> String {
    let all: Vec<_> = options
        .iter()
        .map(|(key, value)| format!("{} {}", name(key), text(&value.0)))
        .collect();
    if all.is_empty() { String::new() } else { format!(" OPTIONS ({})", all.join(", ")) }
}

/// The `OPTIONS (..)` that turn options into others; empty when nothing differs.
pub(super) fn change_options(
    from: &BTreeMap<String, Text>,
    to: &BTreeMap<String, Text>,
) -> Option<String> {
    let gone = from.keys().filter(|key| !to.contains_key(*key));
    let mut all: Vec<_> = gone.map(|key| format!("DROP {}", name(key))).collect();
    for (key, value) in to.iter().filter(|(key, value)| from.get(*key) != Some(value)) {
        let verb = if from.contains_key(key) { "SET" } else { "ADD" };
        all.push(format!("{verb} {} {}", name(key), text(&value.0)));
    }
    (!all.is_empty()).then(|| format!("OPTIONS ({})", all.join(", ")))
}

/// Storage parameters: `fillfactor=70` each in the catalog.
pub(super) fn parameters(all: &BTreeMap<String, Text>) -> String {
    let all: Vec<_> = all
        .iter()
        .map(|(key, value)| format!("{} = {}", setting(key), text(&value.0)))
        .collect();
    all.join(", ")
}

/// The actions of `ALTER` that turn storage parameters into others.
pub(super) fn change_parameters(
    from: &BTreeMap<String, Text>,
    to: &BTreeMap<String, Text>,
) -> Vec<String> {
    let gone: Vec<_> =
        from.keys().filter(|key| !to.contains_key(*key)).map(|key| setting(key)).collect();
    let changed: BTreeMap<_, _> = to
        .iter()
        .filter(|(key, value)| from.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let reset = (!gone.is_empty()).then(|| format!("RESET ({})", gone.join(", ")));
    let set = (!changed.is_empty()).then(|| format!("SET ({})", parameters(&changed)));
    reset.into_iter().chain(set).collect()
}

/// The expression that makes an object of a catalog's list of `name=value`.
pub(super) fn as_map(column: &str) -> String {
    format!(
        "(select coalesce(json_object_agg(split_part(o, '=', 1),
            substr(o, strpos(o, '=') + 1)), '{{}}') from unnest({column}) o)"
    )
}

/// The items of a list: of names bare words in lower case, everything else as it is.
fn items(list: &str, of: ListOf) -> Vec<String> {
    let mut items = Vec::new();
    let mut item = String::new();
    let mut quoted = false;
    let mut is_quoted = false;
    let mut rest = list.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                item.push('"');
            }
            '"' => {
                if !quoted {
                    item.clear();
                }
                quoted = !quoted;
                is_quoted = true;
            }
            ',' if !quoted => {
                items.push((std::mem::take(&mut item), std::mem::take(&mut is_quoted)));
            }
            c if quoted => item.push(c),
            c if of == ListOf::Paths && !(is_quoted && c.is_whitespace()) => item.push(c),
            c if c.is_whitespace() => {}
            c => item.extend(c.to_lowercase()),
        }
    }
    items.push((item, is_quoted));
    for (item, quoted) in &mut items {
        // Spaces within an unquoted path are part of it, those around it are not.
        if !*quoted {
            *item = item.trim().to_owned();
        }
    }
    items.retain(|(item, quoted)| *quoted || !item.is_empty());
    items.into_iter().map(|(item, _)| item).collect()
}

/// A name, quoted where it must be.
pub(super) fn listed(item: &str) -> String {
    let plain = item.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && item.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { item.to_owned() } else { name(item) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(key: &str, value: &str) -> String {
        let mut settings = BTreeMap::from([(key.to_owned(), Text(value.to_owned()))]);
        normalize_settings(&mut settings);
        settings.into_values().next().unwrap().0
    }

    #[test]
    fn lists_of_names_have_one_form() {
        assert_eq!(normal("search_path", "App,  public"), "app, public");
        assert_eq!(normal("search_path", r#""$user",public"#), r#""$user", public"#);
        assert_eq!(normal("search_path", r#""user", "a,""b""#), r#"user, "a,""b""#);
        assert_eq!(normal("search_path", r#""""#), r#""""#);
        assert_eq!(normal("work_mem", "A, B"), "A, B");
        let folders = r#""/var/run/PostgreSQL", "/a b""#;
        assert_eq!(normal("unix_socket_directories", "/var/run/PostgreSQL, /a b"), folders);
        assert_eq!(normal("unix_socket_directories", folders), folders);
        assert_eq!(
            normal("shared_preload_libraries", "a,Auto_Explain"),
            r#"a, "Auto_Explain""#
        );
    }

    #[test]
    fn settings_change_one_by_one() {
        let from = ["a", "b"].map(|key| (key.to_owned(), Text("1".to_owned())));
        let to = BTreeMap::from([
            ("a".to_owned(), Text("1".to_owned())),
            ("search_path".to_owned(), Text("x, \"Y\"".to_owned())),
            ("app.it".to_owned(), Text("o'k".to_owned())),
        ]);
        let from = BTreeMap::from(from);
        assert_eq!(
            change_settings("ALTER ROLE r", &from, &to),
            [
                r#"ALTER ROLE r RESET "b""#,
                r#"ALTER ROLE r SET "app"."it" = 'o''k'"#,
                r#"ALTER ROLE r SET "search_path" = 'x', 'Y'"#,
            ]
        );
    }

    #[test]
    fn ids_keep_names_apart() {
        let place = Place::of(None, "a\"/b", "c");
        assert_eq!(Place::of(Some(&place.id()), "x", "y"), place);
        assert_ne!(id(&["a/b", "c"]), id(&["a", "b/c"]));
    }
}
