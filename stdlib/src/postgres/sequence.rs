//! `postgres::sequence`: sequences that belong to no identity column.
//!
//! Catalog: `pg_sequences`.

use dollop_engine::error::CallError;
use dollop_engine::resource::{Held, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grant::{self, On};
use super::imported::Around;
use super::object::{Key, Nothing, Object, comment_and_owner};
use super::place::in_schema;
use super::server::Server;
use super::{held, sql};

/// A sequence of numbers.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database it is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The schema it is in.
    #[serde(default = "sql::public")]
    #[schemars(extend("x-handle" = "postgres::schema"))]
    pub schema: String,
    /// How large its numbers may get.
    #[serde(default, rename = "type")]
    pub ty: Width,
    /// What is added each time; a negative one counts down.
    #[serde(default = "one")]
    pub increment: i64,
    /// The first number; when left out, the smallest, or counting down the largest, and it is
    /// not looked at.
    #[serde(default)]
    pub start: Option<i64>,
    /// The smallest number; when left out, 1, or what the type has counting down, and it is not
    /// looked at.
    #[serde(default)]
    pub min: Option<i64>,
    /// The largest number; when left out, what the type has, or -1 counting down, and it is not
    /// looked at.
    #[serde(default)]
    pub max: Option<i64>,
    /// How many numbers a session takes at once.
    #[serde(default = "one")]
    pub cache: i64,
    /// Whether it begins anew after the last number.
    #[serde(default)]
    pub cycle: bool,
    /// The column it goes with when that is dropped, in the same schema: `orders.id`; a table
    /// that needs the sequence for a default says so itself, with `sequence` of the column.
    /// When left out, it is not looked at.
    #[serde(default)]
    pub owned_by: Option<String>,
    /// The role that owns it; when left out, the user dollop works as owns a new one, and the
    /// owner is not looked at.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::role"))]
    pub owner: Option<String>,
    /// What it is for, kept in the server.
    #[serde(default)]
    pub comment: Option<String>,
}

/// How large numbers may get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Width {
    /// 32,767.
    Smallint,
    /// 2,147,483,647.
    Integer,
    /// More than anybody counts.
    #[default]
    Bigint,
}

impl Width {
    fn sql(self) -> &'static str {
        match self {
            Self::Smallint => "smallint",
            Self::Integer => "integer",
            Self::Bigint => "bigint",
        }
    }
}

fn one() -> i64 {
    1
}

/// The kind.
pub struct Sequence;

impl Object for Sequence {
    const KIND: &'static str = "postgres::sequence";
    const NEEDS: &'static str =
        "CREATE on the schema for a new one, its ownership for an existing one";
    type Spec = Spec;
    type Facts = Nothing;

    const IS_RELATION: bool = true;

    in_schema!("sequence", Traits { holds_data: true, ..Traits::default() });

    async fn held(
        server: &Server,
        database: &str,
        keys: &[&Key],
    ) -> Vec<Result<Held, CallError>> {
        held::in_sequences(server, database, keys).await
    }

    fn makes(from: Option<&Spec>, to: &Spec) -> Vec<Vec<String>> {
        grant::made(from.is_none(), &to.database, &to.schema, &[On::Sequences])
    }

    fn normalize(spec: &mut Spec) {
        sql::none_when_empty(&mut spec.comment);
    }

    fn query(_: &Server) -> String {
        r#"select array[n.nspname, c.relname] "key", format_type(s.seqtypid, null) "type",
            s.seqincrement "increment", s.seqstart "start", s.seqmin "min", s.seqmax "max",
            s.seqcache "cache", s.seqcycle "cycle",
            (select t.relname || '.' || a.attname from pg_depend d
                join pg_class t on t.oid = d.refobjid
                join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
                where d.classid = 'pg_class'::regclass and d.objid = c.oid
                    and d.refclassid = 'pg_class'::regclass and d.deptype = 'a') owned_by,
            pg_get_userbyid(c.relowner) "owner", obj_description(c.oid, 'pg_class') "comment"
        from pg_sequence s join pg_class c on c.oid = s.seqrelid
            join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = any($1) and c.relname = any($2)"#
            .to_owned()
    }

    const OPTIONAL: &'static [&'static str] = &["owner", "start", "min", "max", "owned_by"];

    fn goes_without_saying(spec: &mut Spec, _: &Around<'_>) {
        // The column says so.
        spec.owned_by = None;
        let largest = match spec.ty {
            Width::Smallint => i16::MAX.into(),
            Width::Integer => i32::MAX.into(),
            Width::Bigint => i64::MAX,
        };
        let (min, max) = if spec.increment > 0 { (1, largest) } else { (-largest - 1, -1) };
        let first = if spec.increment > 0 { spec.min } else { spec.max };
        spec.start = spec.start.filter(|start| Some(*start) != first);
        spec.min = spec.min.filter(|is| *is != min);
        spec.max = spec.max.filter(|is| *is != max);
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let sequence = sql::in_schema(&key[0], &key[1]);
        let Some(to) = to else { return vec![format!("DROP SEQUENCE {sequence}")] };
        let mut parts = Vec::new();
        let mut differs = |word: &str, was: Option<String>, is: String| {
            if was.as_ref() != Some(&is) {
                parts.push(format!("{word}{is}"));
            }
        };
        differs("AS ", from.map(|from| from.ty.sql().to_owned()), to.ty.sql().to_owned());
        differs(
            "INCREMENT BY ",
            from.map(|from| from.increment.to_string()),
            to.increment.to_string(),
        );
        for (word, was, is) in [
            ("MINVALUE ", from.and_then(|from| from.min), to.min),
            ("MAXVALUE ", from.and_then(|from| from.max), to.max),
            ("START WITH ", from.and_then(|from| from.start), to.start),
        ] {
            if let Some(is) = is {
                differs(word, was.map(|was| was.to_string()), is.to_string());
            }
        }
        differs("CACHE ", from.map(|from| from.cache.to_string()), to.cache.to_string());
        let cycle = |spec: &Spec| if spec.cycle { "CYCLE" } else { "NO CYCLE" }.to_owned();
        differs("", from.map(cycle), cycle(to));
        let mut all = Vec::new();
        if !parts.is_empty() {
            let verb = if from.is_some() { "ALTER" } else { "CREATE" };
            all.push(format!("{verb} SEQUENCE {sequence} {}", parts.join(" ")));
        }
        let of = |spec: &Spec| (spec.comment.clone(), spec.owner.clone());
        let was = from.map(of).unwrap_or_default();
        all.extend(comment_and_owner(&format!("SEQUENCE {sequence}"), was, of(to)));
        // Both must have one owner by then.
        let column = to.owned_by.as_ref();
        let column = column.filter(|_| from.and_then(|from| from.owned_by.as_ref()) != column);
        if let Some(column) = column {
            let column = format!("{}.{}", sql::name(&key[0]), sql::dotted(column));
            all.push(format!("ALTER SEQUENCE {sequence} OWNED BY {column}"));
        }
        all
    }
}
