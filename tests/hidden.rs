//! Whatever attribute holds a secret, in whatever form: nothing that is printed tells any piece
//! of it, be it a plan or the reason why there is none.

use dollop_engine::kind::{Kind, Registry, short_name};
use dollop_engine::schema::{Attribute, Schema, Type};

use crate::fuzz::read;

/// A piece of the secret wherever a service's grammar may cut it.
const SECRET: &str = "s3cr3tA:s3cr3tB=s3cr3tC/s3cr3tD,s3cr3tE@s3cr3tF s3cr3tG.s3cr3tH";
const PIECE: &str = "s3cr3t";

/// What an attribute may be that has the secret in it, whatever its type says.
const FORMS: &[&str] = &[
    "hidden",
    "`${hidden}:1`",
    "[\"z\", `a${hidden}`]",
    "[`z${hidden}`, \"a\"]",
    "#{ x: \"a\", b: [hidden, \"c\"] }",
];

/// The one kind of connection that nobody declares.
const HOST: &str = "local::host";

/// Deeper than this no schema goes on to say anything new.
const DEEPEST: usize = 3;

#[test]
fn whatever_holds_a_secret_tells_no_piece_of_it() {
    let registry = dollop_stdlib::registry();
    let (mut tried, mut planned) = (0, 0);
    let kinds = registry.kinds().map(|kind| {
        let Some(call) = call(kind, &registry) else { panic!("no way to call {}", kind.name) };
        (call, &*kind.schema)
    });
    let connections = registry.connections().filter(|connection| connection.name != HOST);
    let connections = connections.map(|kind| (kind.name.to_owned(), &*kind.schema));
    for (call, schema) in kinds.chain(connections) {
        for (name, attribute) in &schema.spec {
            let declare = |number: usize, form: &str| {
                let given = attributes(schema, name, form);
                format!("{call}(\"subject{number}\", #{{ {given} }});\n")
            };
            // What is wrong with one hides the plan of the others; the deeper forms are many,
            // and mostly wrong.
            let mut scripts: Vec<String> = FORMS.iter().map(|form| declare(0, form)).collect();
            let inside = inside(&attribute.ty, DEEPEST);
            scripts.push(inside.iter().enumerate().map(|(n, form)| declare(n, form)).collect());
            for script in scripts {
                let (shown, is_plan) = read(&registry, &format!("{HEAD}\n{script}"), SECRET);
                assert!(
                    !shown.to_lowercase().contains(PIECE),
                    "a piece of the secret is shown of\n{script}\n{shown}"
                );
                tried += 1;
                planned += usize::from(is_plan);
            }
        }
    }
    println!("{tried} scripts with a secret, {planned} of them with a plan");
    assert!(planned * 10 > tried, "of {tried} only {planned} had a plan");
}

/// What the kinds live in.
const HEAD: &str = r#"let hidden = param("hidden", #{ secret: true });
let pg = postgres::server("pg", #{ host: "127.0.0.1", user: "u", password: hidden });
let db = pg.database("db");
let schema = db.schema("app");
let mq = rabbitmq::server("mq", #{ host: "127.0.0.1", user: "u", password: hidden });
let v = mq.vhost("v");"#;

/// How a kind is declared: on the innermost thing it lives in.
fn call(kind: &Kind, registry: &Registry) -> Option<String> {
    let short = short_name(kind.name);
    let implicit = registry
        .connections()
        .any(|connection| connection.implicit && connection.name == kind.connection);
    if implicit {
        return Some(kind.name.to_owned());
    }
    let within = kind.traits.within.iter().filter_map(|name| kind.schema.spec.get(*name));
    let parents = within.flat_map(|attribute| attribute.handle.iter().map(String::as_str));
    let parents: Vec<&str> = parents.chain([kind.connection]).collect();
    let handles = [
        ("postgres::schema", "schema"),
        ("postgres::database", "db"),
        ("rabbitmq::vhost", "v"),
        ("postgres::server", "pg"),
        ("rabbitmq::server", "mq"),
    ];
    let on = handles.iter().find(|(kind, _)| parents.contains(kind))?.1;
    Some(format!("{on}.{short}"))
}

/// The attribute as wanted, and what else must be there.
fn attributes(schema: &Schema, name: &str, form: &str) -> String {
    let required = schema.spec.iter().filter(|(other, attribute)| {
        attribute.required && *other != name && other.as_str() != "name"
    });
    let places = ["server", "database", "schema", "vhost"];
    let required = required.filter(|(other, _)| !places.contains(&other.as_str()));
    let required = required.map(|(other, attribute)| format!("{other}: {}", plain(attribute)));
    required.chain([format!("{name}: {form}")]).collect::<Vec<_>>().join(", ")
}

/// A value that fits a type.
fn plain(attribute: &Attribute) -> String {
    match &attribute.ty {
        Type::Bool => "true".to_owned(),
        Type::Int | Type::Number => "1".to_owned(),
        Type::String | Type::Any => "\"x\"".to_owned(),
        Type::Enum(words) => format!("{:?}", words[0]),
        Type::List(_) => "[]".to_owned(),
        Type::Map(_) => "#{}".to_owned(),
        Type::Object(entries) => {
            let required = entries.iter().filter(|(_, attribute)| attribute.required);
            let required = required.map(|(name, entry)| format!("{name}: {}", plain(entry)));
            format!("#{{ {} }}", required.collect::<Vec<_>>().join(", "))
        }
        Type::Either(forms) => plain(&Attribute { ty: forms[0].clone(), ..attribute.clone() }),
    }
}

/// Values of a type with the secret somewhere in them.
fn inside(ty: &Type, depth: usize) -> Vec<String> {
    if depth == 0 {
        return Vec::new();
    }
    let deeper = |ty: &Type| {
        let mut forms = vec!["hidden".to_owned(), "`a${hidden}`".to_owned()];
        forms.extend(inside(ty, depth - 1));
        forms
    };
    match ty {
        Type::List(item) => deeper(item).iter().map(|form| format!("[{form}]")).collect(),
        Type::Map(item) => {
            deeper(item).iter().map(|form| format!("#{{ k: {form} }}")).collect()
        }
        Type::Either(forms) => forms.iter().flat_map(|form| inside(form, depth)).collect(),
        Type::Object(entries) => {
            let with = |(name, entry): (&String, &Attribute)| {
                let others = entries.iter().filter(|(other, e)| e.required && *other != name);
                let others: Vec<String> =
                    others.map(|(name, entry)| format!("{name}: {}, ", plain(entry))).collect();
                let others = others.concat();
                let forms = deeper(&entry.ty).into_iter();
                forms.map(|form| format!("#{{ {others}{name}: {form} }}")).collect::<Vec<_>>()
            };
            entries.iter().flat_map(with).collect()
        }
        _ => Vec::new(),
    }
}
