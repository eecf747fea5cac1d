//! What a grant decides about, so that no two decide about the same.

use dollop_engine::resource::Territory;

use super::Spec;

/// Where something is, in words.
fn place(spec: &Spec) -> String {
    match &spec.schema {
        Some(schema) if spec.on.is_in_schema() => format!(" in schema `{schema}`"),
        Some(schema) => format!(" `{schema}`"),
        None => String::new(),
    }
}

/// The database that something is in. Of what belongs to the whole server every database knows
/// the same.
fn database(spec: &Spec) -> &str {
    if spec.on.is_of_server() { "" } else { &spec.database }
}

/// What one role may do with something.
pub(super) fn of_role(spec: &Spec) -> Vec<Territory> {
    let sorts = if spec.columns.is_empty() { spec.on.sorts() } else { vec!["columns"] };
    let schema = spec.schema.as_deref().unwrap_or_default();
    let role = &spec.role;
    let path = |sort: &str| {
        ["privileges", database(spec), role, sort, schema].map(str::to_owned).to_vec()
    };
    let place = place(spec);
    if spec.objects.is_empty() {
        let what = format!("the privileges of `{role}` on {}{place}", spec.on.word());
        let all = |sort| Territory { path: path(sort), what: what.clone() };
        return sorts.into_iter().map(all).collect();
    }
    let of = |sort: &str, object: &String, column: Option<&String>| {
        let more = std::iter::once(object).chain(column).cloned();
        let column = column.map_or_else(String::new, |column| format!("column `{column}` of "));
        let one = spec.on.one();
        Territory {
            path: path(sort).into_iter().chain(more).collect(),
            what: format!("the privileges of `{role}` on {column}{one} `{object}`{place}"),
        }
    };
    let each = |object: &String| -> Vec<Territory> {
        if spec.columns.is_empty() {
            return sorts.iter().map(|sort| of(sort, object, None)).collect();
        }
        let columns = spec.columns.iter();
        columns.map(|column| of("columns", object, Some(column))).collect()
    };
    spec.objects.iter().flat_map(each).collect()
}

/// Who may do something with it at all; of a grant to one role its part of that. A grant on all
/// that is in a schema has none of single objects, since it does not know them.
pub(super) fn of_everybody(spec: &Spec, role: Option<&str>) -> Vec<Territory> {
    if !spec.columns.is_empty() {
        return Vec::new();
    }
    let schema = spec.schema.as_deref().unwrap_or_default();
    let mut all = Vec::new();
    for sort in spec.on.sorts() {
        let path = ["who may", database(spec), sort, schema].map(str::to_owned);
        let mut add = |object: Option<&String>| {
            let what = match object {
                Some(object) => format!("{} `{object}`{}", spec.on.one(), place(spec)),
                None => format!("{}{}", spec.on.word(), place(spec)),
            };
            let own = role.map(|role| [object.cloned().unwrap_or_default(), role.to_owned()]);
            let part: Vec<String> = match own {
                Some(own) => own.into(),
                None => object.cloned().into_iter().collect(),
            };
            all.push(Territory {
                path: path.iter().cloned().chain(part).collect(),
                what: format!("who may do something with {what}"),
            });
        };
        if spec.objects.is_empty() {
            add(None);
        }
        spec.objects.iter().for_each(|object| add(Some(object)));
    }
    all
}
