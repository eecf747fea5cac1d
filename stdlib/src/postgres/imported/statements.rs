//! What no kind is for and one statement makes: it becomes a `postgres::sql`.

use std::collections::HashMap;

use dollop_engine::error::CallError;
use serde::Deserialize;

use super::super::server::Server;
use super::ask;

/// One object, by the statement that makes it.
#[derive(Deserialize)]
pub(in super::super) struct Made {
    node: String,
    /// What makes it.
    pub(in super::super) run: String,
    /// Asks whether it is there.
    pub(in super::super) unless: String,
    /// What takes it away.
    pub(in super::super) undo: String,
}

/// Composite types, ranges and aggregates, by their nodes. Those that somebody else than
/// dollop's user owns are not among them: a statement names no role that it could wait for.
pub(super) async fn made(
    server: &Server,
    database: &str,
) -> Result<HashMap<String, Made>, CallError> {
    let made: Vec<Made> = ask(server, database, &query(server.version)).await?;
    Ok(made.into_iter().map(|made| (made.node.clone(), made)).collect())
}

fn query(version: u32) -> String {
    let multirange = if version >= 140_000 {
        "format('MULTIRANGE_TYPE_NAME = %I.%I', n.nspname,
            (select m.typname from pg_type m where m.oid = r.rngmultitypid))"
    } else {
        "null"
    };
    let named = "format('%I.%I', n.nspname,";
    format!(
        r#"with mine as (select oid, nspname from pg_namespace
            where nspname !~ '^pg_' and nspname <> 'information_schema'),
        made(node, name, is_type, run) as (
            select concat('pg_class'::regclass::oid, '/', c.oid), {named} c.relname), true,
                format('CREATE TYPE %I.%I AS (%s)', n.nspname, c.relname, (
                    select string_agg(concat_ws(' ', quote_ident(a.attname),
                            format_type(a.atttypid, a.atttypmod), 'COLLATE ' || (
                                select format('%I.%I', s.nspname, l.collname) from pg_collation l
                                    join pg_namespace s on s.oid = l.collnamespace
                                where l.oid = a.attcollation and a.attcollation <> t.typcollation)),
                        ', ' order by a.attnum)
                    from pg_attribute a join pg_type t on t.oid = a.atttypid
                    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped))
            from pg_class c join mine n on n.oid = c.relnamespace
            where c.relkind = 'c' and pg_get_userbyid(c.relowner) = current_user
            union all
            select concat('pg_type'::regclass::oid, '/', t.oid), {named} t.typname), true,
                format('CREATE TYPE %I.%I AS RANGE (%s)', n.nspname, t.typname, concat_ws(', ',
                    'SUBTYPE = ' || format_type(r.rngsubtype, null),
                    (select format('SUBTYPE_OPCLASS = %I.%I', s.nspname, o.opcname)
                        from pg_opclass o join pg_namespace s on s.oid = o.opcnamespace
                        where o.oid = r.rngsubopc and not o.opcdefault),
                    (select format('COLLATION = %I.%I', s.nspname, l.collname)
                        from pg_collation l join pg_namespace s on s.oid = l.collnamespace
                            join pg_type b on b.oid = r.rngsubtype
                        where l.oid = r.rngcollation and l.oid <> b.typcollation),
                    'SUBTYPE_DIFF = ' || nullif(r.rngsubdiff::oid, 0)::regproc, {multirange}))
            from pg_range r join pg_type t on t.oid = r.rngtypid
                join mine n on n.oid = t.typnamespace
            -- A function that brings its values to one form needs the type before it is made.
            where r.rngcanonical::oid = 0 and pg_get_userbyid(t.typowner) = current_user
            union all
            select concat('pg_proc'::regclass::oid, '/', p.oid),
                format('%I.%I(%s)', n.nspname, p.proname, array_to_string(array(
                    select format_type(u.t, null)
                    from unnest(p.proargtypes) with ordinality u(t, at) order by u.at), ', ')),
                false,
                format('CREATE AGGREGATE %I.%I(%s) (%s)', n.nspname, p.proname,
                    case p.pronargs when 0 then '*' else pg_get_function_arguments(p.oid) end,
                    concat_ws(', ', 'SFUNC = ' || a.aggtransfn::regproc,
                        'STYPE = ' || format_type(a.aggtranstype, null),
                        'SSPACE = ' || nullif(a.aggtransspace, 0),
                        'FINALFUNC = ' || nullif(a.aggfinalfn::oid, 0)::regproc,
                        case when a.aggfinalextra then 'FINALFUNC_EXTRA' end,
                        'COMBINEFUNC = ' || nullif(a.aggcombinefn::oid, 0)::regproc,
                        'SERIALFUNC = ' || nullif(a.aggserialfn::oid, 0)::regproc,
                        'DESERIALFUNC = ' || nullif(a.aggdeserialfn::oid, 0)::regproc,
                        'INITCOND = ' || quote_literal(a.agginitval),
                        'MSFUNC = ' || nullif(a.aggmtransfn::oid, 0)::regproc,
                        'MINVFUNC = ' || nullif(a.aggminvtransfn::oid, 0)::regproc,
                        'MSTYPE = ' || format_type(nullif(a.aggmtranstype, 0), null),
                        'MSSPACE = ' || nullif(a.aggmtransspace, 0),
                        'MFINALFUNC = ' || nullif(a.aggmfinalfn::oid, 0)::regproc,
                        case when a.aggmfinalextra then 'MFINALFUNC_EXTRA' end,
                        'MINITCOND = ' || quote_literal(a.aggminitval),
                        'PARALLEL = ' || case p.proparallel when 's' then 'SAFE'
                            when 'r' then 'RESTRICTED' end))
            from pg_aggregate a join pg_proc p on p.oid = a.aggfnoid
                join mine n on n.oid = p.pronamespace
            -- What else an aggregate can be is rare: ordered sets, operators that sort, final
            -- functions that change what they are given in ways of their own.
            where a.aggkind = 'n' and a.aggsortop = 0
                and a.aggfinalmodify = 'r' and a.aggmfinalmodify = 'r'
                and pg_get_userbyid(p.proowner) = current_user
        )
        select node, run, case when is_type then format('SELECT to_regtype(%L) IS NOT NULL', name)
                else format('SELECT to_regprocedure(%L) IS NOT NULL', name) end "unless",
            case when is_type then 'DROP TYPE ' || name
                else 'DROP AGGREGATE ' || case when name like '%()' then left(name, -2) || '(*)'
                    else name end end undo
        from made"#
    )
}
