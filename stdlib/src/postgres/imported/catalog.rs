//! The queries that tell what a database has, whatever its kind.

/// What people may have made: a name space that is not the server's own.
const SPACES: &str = "spaces as (select oid, nspname from pg_namespace
    where nspname !~ '^pg_' and nspname <> 'information_schema')";

/// Every object people made: its node (catalog and number), its kind, its key, and why it
/// cannot be declared, where it cannot. What extensions brought is theirs.
pub(super) fn things(version: u32) -> String {
    let clone = if version >= 130_000 { "t.tgparentid = 0" } else { "true" };
    let taken_apart = if version >= 140_000 { "p.prosqlbody is not null" } else { "false" };
    let odd = odd();
    format!(
        r#"with {SPACES}, things(class, id, kind, "key", why) as (
        select 'pg_namespace'::regclass, n.oid, 'schema', array[n.nspname::text], null
            from spaces n where n.nspname <> 'public'
        union all
        select 'pg_extension'::regclass, e.oid, 'extension', array[e.extname::text], null
            from pg_extension e where e.extname <> 'plpgsql'
        union all
        select 'pg_class'::regclass, c.oid, case c.relkind when 'v' then 'view' when 'm' then 'view'
                when 'f' then 'foreign_table' when 'S' then 'sequence' when 'c' then 'composite type'
                else 'table' end,
            array[n.nspname::text, c.relname::text],
            case when c.relkind = 'c' then 'such types have no kind'
                when c.reloftype <> 0 then 'it is a table of a composite type'
                when c.relkind = 'f' and c.relispartition then 'it is a partition that is elsewhere'
                when c.relkind = 'f' and exists (select from pg_inherits i
                    where i.inhrelid = c.oid) then 'it inherits from another table'
                when c.relkind = 'm' and m.amname <> 'heap'
                    then 'its rows are kept by ' || m.amname end
            from pg_class c join spaces n on n.oid = c.relnamespace
                left join pg_am m on m.oid = c.relam and c.relkind in ('r', 'm')
            where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c') and c.relpersistence <> 't'
                and c.relname <> 'dollop_migrations'
                and not (c.relkind = 'S' and exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid
                        and d.deptype = 'i'))
                -- Of a composite type, an extension has the type.
                and not (c.relkind = 'c' and exists (select from pg_depend d
                    where d.classid = 'pg_type'::regclass and d.objid = c.reltype
                        and d.deptype = 'e'))
        union all
        select 'pg_class'::regclass, c.oid, 'index',
            array[n.nspname::text, t.relname::text, c.relname::text],
            case when not i.indisvalid then 'it was left unfinished'
                when exists (select from pg_attribute a where a.attrelid = c.oid
                    and a.attoptions is not null) then 'it has options of operator classes' end
            from pg_index i join pg_class c on c.oid = i.indexrelid
                join pg_class t on t.oid = i.indrelid join spaces n on n.oid = t.relnamespace
            where not c.relispartition and t.relpersistence <> 't'
                and t.relname <> 'dollop_migrations'
                and not exists (select from pg_constraint k where k.conindid = c.oid
                    and k.contype in ('p', 'u', 'x'))
        union all
        select 'pg_type'::regclass, t.oid, case t.typtype when 'e' then 'enum' when 'd' then 'domain'
                when 'r' then 'range type' else 'type' end,
            array[n.nspname::text, t.typname::text],
            case when t.typtype in ('r', 'b') then 'such types have no kind'
                when t.typtype = 'd' and t.typcollation <> b.typcollation
                    then 'it has a collation of its own' end
            from pg_type t join spaces n on n.oid = t.typnamespace
                left join pg_type b on b.oid = t.typbasetype
            where t.typtype in ('e', 'd', 'r', 'b') and not exists (select from pg_type e
                where e.typarray = t.oid)
        union all
        select 'pg_proc'::regclass, p.oid, case p.prokind when 'a' then 'aggregate'
                else 'function' end,
            array[n.nspname::text, p.proname::text, array_to_string(array(
                select regexp_replace(format_type(u.t, null), '^public\.', '')
                from unnest(p.proargtypes) with ordinality u(t, at)
                order by u.at), E'\x1f')],
            case when p.prokind = 'a' then 'such functions have no kind'
                when {taken_apart} then 'its body is kept as what the server made of it (BEGIN ATOMIC)'
                when l.lanname in ('c', 'internal') then 'it is written in C'
                when p.protrftypes is not null then 'it has transforms' end
            from pg_proc p join spaces n on n.oid = p.pronamespace
                join pg_language l on l.oid = p.prolang
            -- What makes values of a range is a part of its type.
            where not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass
                and d.objid = p.oid and d.deptype = 'i')
        union all
        select 'pg_trigger'::regclass, t.oid, 'trigger',
            array[n.nspname::text, c.relname::text, t.tgname::text],
            case when t.tgconstrrelid <> 0 then 'it is a constraint trigger of two tables' end
            from pg_trigger t join pg_class c on c.oid = t.tgrelid
                join spaces n on n.oid = c.relnamespace
            where not t.tgisinternal and {clone}
        union all
        select 'pg_event_trigger'::regclass, t.oid, 'event_trigger', array[t.evtname::text], null
            from pg_event_trigger t
        union all
        -- Nothing needs such a setting, so that the role's own number may stand for it.
        select 'pg_db_role_setting'::regclass, s.setrole, 'role_settings', array[r.rolname::text],
            null
            from pg_db_role_setting s join pg_roles r on r.oid = s.setrole
                join pg_database d on d.oid = s.setdatabase where d.datname = current_database()
        union all
        select 'pg_policy'::regclass, p.oid, 'policy',
            array[n.nspname::text, c.relname::text, p.polname::text], null
            from pg_policy p join pg_class c on c.oid = p.polrelid
                join spaces n on n.oid = c.relnamespace
        union all
        select 'pg_foreign_server'::regclass, s.oid, 'fdw_server', array[s.srvname::text], null
            from pg_foreign_server s
        union all
        select 'pg_user_mapping'::regclass, m.umid, 'user_mapping', array[m.srvname::text,
            case m.umuser when 0 then 'PUBLIC' else m.usename::text end], null
            from pg_user_mappings m
        union all
        select 'pg_publication'::regclass, p.oid, 'publication', array[p.pubname::text], null
            from pg_publication p
        union all
        select 'pg_subscription'::regclass, s.oid, 'subscription', array[s.subname::text], null
            from pg_subscription s join pg_database d on d.oid = s.subdbid
            where d.datname = current_database()
        union all
        select 'pg_default_acl'::regclass, d.oid, 'default_privileges',
            array[pg_get_userbyid(d.defaclrole)::text, coalesce(n.nspname::text, ''), w.word,
                coalesce(g.rolname::text, 'PUBLIC')],
            case when h.partly and not h.wholly
                then 'some of them may be passed on, and others not' end
            from pg_default_acl d left join spaces n on n.oid = d.defaclnamespace
                join (values ('r', 'tables', 'r'), ('S', 'sequences', 's'), ('f', 'functions', 'f'),
                    ('T', 'types', 'T'), ('n', 'schemas', 'n')) w(letter, word, built_in)
                    on w.letter = d.defaclobjtype::text
                cross join lateral (
                    select e.grantee, bool_or(e.passes) filter (where e.is_now) partly,
                        bool_and(e.passes) filter (where e.is_now) wholly,
                        array_agg(concat(e.privilege, e.passes) order by e.privilege)
                            filter (where e.is_now) now,
                        array_agg(concat(e.privilege, e.passes) order by e.privilege)
                            filter (where not e.is_now) was
                    from (
                        select a.grantee, a.privilege_type privilege, a.is_grantable passes,
                            true is_now from aclexplode(d.defaclacl) a
                        union all
                        select a.grantee, a.privilege_type, a.is_grantable, false
                            from aclexplode(case when d.defaclnamespace = 0 then
                                acldefault(w.built_in::"char", d.defaclrole) end) a
                    ) e group by e.grantee
                ) h
                left join pg_roles g on g.oid = h.grantee
            where h.now is distinct from h.was and (h.grantee = 0 or g.oid is not null)
        {odd})
        select concat(t.class::oid, '/', t.id) node, t.kind, t."key", t.why from things t
        where not exists (select from pg_depend e where e.classid = t.class and e.objid = t.id
            and e.refclassid = 'pg_extension'::regclass and e.deptype = 'e')
        order by t.kind, t."key""#
    )
}

/// Objects of catalogs that no kind is for.
fn odd() -> String {
    let catalogs = [
        ("pg_operator", "true"),
        ("pg_opclass", "true"),
        ("pg_opfamily", "true"),
        // The server makes one between a range and several of it.
        (
            "pg_cast",
            "not exists (select from pg_depend d where d.classid = 'pg_cast'::regclass
                and d.objid = o.oid and d.deptype = 'i')",
        ),
        ("pg_collation", "true"),
        ("pg_conversion", "true"),
        ("pg_ts_config", "true"),
        ("pg_ts_dict", "true"),
        ("pg_ts_parser", "true"),
        ("pg_ts_template", "true"),
        ("pg_language", "true"),
        ("pg_foreign_data_wrapper", "true"),
        ("pg_am", "true"),
        ("pg_transform", "true"),
        ("pg_statistic_ext", "true"),
        ("pg_rewrite", "o.rulename <> '_RETURN'"),
    ];
    let one = |(catalog, condition): (&str, &str)| {
        // What the server brings along has lower numbers.
        format!(
            "union all select '{catalog}'::regclass, o.oid, i.type, array[i.identity],
                'such objects have no kind' from {catalog} o
                cross join lateral pg_identify_object('{catalog}'::regclass, o.oid, 0) i
                where o.oid >= 16384 and {condition}"
        )
    };
    catalogs.map(one).join("\n")
}

/// The functions that extensions brought: they may be where only some sessions look.
pub(super) const BROUGHT: &str = "select distinct p.proname name from pg_proc p
    join pg_depend e on e.classid = 'pg_proc'::regclass and e.objid = p.oid
        and e.refclassid = 'pg_extension'::regclass and e.deptype = 'e'";

/// The tablespace of a database.
pub(super) const TABLESPACE: &str = "select s.spcname name from pg_database d
    join pg_tablespace s on s.oid = d.dattablespace where d.datname = current_database()";

/// What is a part of what: an index of its constraint, a row type of its table.
pub(super) fn parts(version: u32) -> String {
    let multiranges = if version >= 140_000 {
        "union all select 'pg_type'::regclass, rngmultitypid, 'pg_type'::regclass, rngtypid
            from pg_range"
    } else {
        ""
    };
    let schemas = if version >= 150_000 {
        "union all select 'pg_publication_namespace'::regclass, oid, 'pg_publication'::regclass,
            pnpubid from pg_publication_namespace"
    } else {
        ""
    };
    format!(
        "select concat(p.class::oid, '/', p.id) part, concat(p.of_class::oid, '/', p.of_id) whole
        from (
            select classid::regclass class, objid id, refclassid::regclass of_class, refobjid of_id
                from pg_depend where deptype = 'e' and refclassid = 'pg_extension'::regclass
            union all select 'pg_class'::regclass, c.oid, d.refclassid::regclass, d.refobjid
                from pg_class c join pg_depend d on d.classid = 'pg_type'::regclass
                    and d.objid = c.reltype and d.deptype = 'e'
                where c.relkind = 'c' and d.refclassid = 'pg_extension'::regclass
            union all select 'pg_class'::regclass, k.conindid, 'pg_class'::regclass, k.conrelid
                from pg_constraint k where k.contype in ('p', 'u', 'x')
            union all select 'pg_class'::regclass, i.inhrelid, 'pg_class'::regclass, i.inhparent
                from pg_inherits i join pg_class c on c.oid = i.inhrelid
                where c.relkind in ('i', 'I')
            union all select 'pg_class'::regclass, d.objid, 'pg_class'::regclass, d.refobjid
                from pg_depend d join pg_class c on c.oid = d.objid
                where d.classid = 'pg_class'::regclass and c.relkind = 'S' and d.deptype = 'i'
                    and d.refclassid = 'pg_class'::regclass
            union all select 'pg_proc'::regclass, d.objid, d.refclassid::regclass, d.refobjid
                from pg_depend d where d.classid = 'pg_proc'::regclass and d.deptype = 'i'
            union all select 'pg_type'::regclass, t.oid, 'pg_class'::regclass, t.typrelid
                from pg_type t where t.typrelid <> 0
            union all select 'pg_type'::regclass, t.typarray, 'pg_type'::regclass, t.oid
                from pg_type t where t.typarray <> 0
            union all select 'pg_attrdef'::regclass, oid, 'pg_class'::regclass, adrelid
                from pg_attrdef
            union all select 'pg_constraint'::regclass, oid, case conrelid when 0
                then 'pg_type'::regclass else 'pg_class'::regclass end,
                case conrelid when 0 then contypid else conrelid end from pg_constraint
            union all select 'pg_rewrite'::regclass, oid, 'pg_class'::regclass, ev_class
                from pg_rewrite where rulename = '_RETURN'
            union all select 'pg_publication_rel'::regclass, oid, 'pg_publication'::regclass,
                prpubid from pg_publication_rel
            {multiranges} {schemas}
        ) p where p.id >= 16384"
    )
}

/// What needs what, and the constraint through which it does.
pub(super) const EDGES: &str = "select concat(d.classid, '/', d.objid) part,
        concat(d.refclassid, '/', d.refobjid) needs, k.conname \"constraint\"
    from pg_depend d
        left join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
        left join pg_class s on d.classid = 'pg_class'::regclass and s.oid = d.objid
    where d.deptype in ('n', 'a', 'i', 'P', 'S') and d.objid >= 16384 and d.refobjid >= 16384
        -- That of a constraint trigger is the trigger itself.
        and k.contype is distinct from 't'
        -- What a partition has because its table has it is part of the table's.
        and coalesce(k.conparentid, 0) = 0
        and not coalesce(s.relkind in ('i', 'I') and s.relispartition, false)
        -- A sequence that goes with a column is made before the table.
        and not (d.deptype = 'a' and s.relkind is not distinct from 'S')
    group by 1, 2, 3 order by 1, 2, 3";

/// What cannot be said of objects that can be declared.
pub(super) fn losses(version: u32) -> String {
    let compressed = if version >= 140_000 { "a.attcompression <> ''" } else { "false" };
    // `pg_database_owner`, before that whoever set the server up.
    let owner = if version >= 150_000 { 6171 } else { 10 };
    format!(
        "with {SPACES}, relations as (
            select c.*, format('%s `%s.%s`', case c.relkind when 'v' then 'view' when 'm' then 'view'
                when 'f' then 'foreign table' when 'S' then 'sequence' else 'table' end,
                n.nspname, c.relname) said
            from pg_class c join spaces n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't'
                and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass
                    and e.objid = c.oid and e.deptype = 'e')
        ), parents as (
            select c.oid, a.attname, a.attnotnull, pg_get_expr(d.adbin, d.adrelid) expression
            from relations c join pg_inherits i on i.inhrelid = c.oid
                join pg_attribute a on a.attrelid = i.inhparent and a.attnum > 0
                left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        )
        select said from (
            select 1 at, c.said || ': its replica identity' said from relations c
                where c.relkind in ('r', 'p') and c.relreplident = 'i'
            union all select 2, format('%s: how column `%s` is stored', c.said, a.attname)
                from relations c join pg_attribute a on a.attrelid = c.oid
                    join pg_type t on t.oid = a.atttypid
                where c.relkind in ('r', 'p', 'm') and a.attnum > 0 and not a.attisdropped
                    and (a.attstorage <> t.typstorage or {compressed}
                        or exists (select from unnest(a.attoptions) o where o ~ '^n_distinct')
                        or a.attstattarget > 0)
            union all select 3, format('%s: that it is ordered by index `%s`', c.said, x.relname)
                from relations c join pg_index i on i.indrelid = c.oid and i.indisclustered
                    join pg_class x on x.oid = i.indexrelid
            union all select 4, format('%s: how column `%s` counts', c.said, a.attname)
                from relations c join pg_attribute a on a.attrelid = c.oid and a.attidentity <> ''
                    join pg_depend d on d.refobjid = c.oid and d.refobjsubid = a.attnum
                        and d.refclassid = 'pg_class'::regclass and d.deptype = 'i'
                    join pg_sequence s on s.seqrelid = d.objid
                where s.seqincrement <> 1 or s.seqstart <> 1 or s.seqmin <> 1 or s.seqcache <> 1
                    or s.seqcycle or s.seqmax <> case a.atttypid when 'int2'::regtype then 32767
                        when 'int4'::regtype then 2147483647 else 9223372036854775807 end
            union all select 5, format('%s: what is other in column `%s` than in those of its table',
                    c.said, a.attname)
                from relations c join pg_attribute a on a.attrelid = c.oid
                    join parents p on p.oid = c.oid and p.attname = a.attname
                    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
                -- What inherits says the rest itself.
                where a.attnotnull <> p.attnotnull and (c.relispartition or p.attnotnull)
                    or pg_get_expr(d.adbin, d.adrelid) is distinct from p.expression
                        and (c.relispartition or d.adbin is null)
            union all select 6, format('%s: the default of column `%s`', c.said, a.attname)
                from relations c join pg_attribute a on a.attrelid = c.oid and a.atthasdef
                where c.relkind in ('v', 'f')
            union all select 7, format('%s: constraint `%s`', c.said, k.conname)
                from relations c join pg_constraint k on k.conrelid = c.oid
                -- NOT NULL is told with the column.
                where c.relkind = 'f' and k.contype <> 'n'
            union all select 8, c.said || ': that it is left out of the write-ahead log'
                from relations c where c.relkind = 'S' and c.relpersistence = 'u'
            union all select 9, format('function `%s.%s`: the number of rows it is taken to give',
                    n.nspname, p.proname)
                from pg_proc p join spaces n on n.oid = p.pronamespace
                where p.proretset and p.prorows <> 1000 and p.prokind = 'f'
                    and not exists (select from pg_depend e where e.classid = 'pg_proc'::regclass
                        and e.objid = p.oid and e.deptype = 'e')
            union all select 10, format('security label of `%s` on %s `%s`', l.provider,
                    i.type, i.identity)
                from pg_seclabel l
                cross join lateral pg_identify_object(l.classoid, l.objoid, l.objsubid) i
            union all select 11, format('index `%s.%s`: how many values of its columns are counted',
                    n.nspname, c.relname)
                from pg_class c join spaces n on n.oid = c.relnamespace
                where c.relkind in ('i', 'I') and exists (select from pg_attribute a
                    where a.attrelid = c.oid and a.attstattarget > 0)
            union all select 12, format('schema `public`: its %s', case
                    when n.nspowner <> {owner} then 'owner' else 'comment' end)
                from pg_namespace n where n.nspname = 'public' and (n.nspowner <> {owner}
                    or obj_description(n.oid, 'pg_namespace') <> 'standard public schema')
            -- Such constraints have names since PostgreSQL 18.
            union all select 13, format('%s: what the NOT NULL constraint of column `%s` is called',
                    c.said, a.attname)
                from relations c join pg_constraint k on k.conrelid = c.oid and k.contype = 'n'
                    join pg_attribute a on a.attrelid = c.oid and a.attnum = k.conkey[1]
                where not c.relispartition
                    and k.conname <> left(concat(c.relname, '_', a.attname, '_not_null'), 63)
        ) losses order by at, said"
    )
}

/// Remarks on what has no comment of its own: their key as `postgres::comment` has it, and the
/// node of what they are about.
pub(super) const COMMENTS: &str = r"select concat(r.classoid, '/', r.objoid) node,
        case when a.type like '% column' then 'table column' else a.type end type,
        case when t.oid is not null then
                concat((select nspname from pg_namespace where oid = t.typnamespace), E'\x1f',
                    t.typname)
            when k.oid is not null then concat((select nspname from pg_namespace
                    where oid = k.typnamespace), E'\x1f', k.typname, E'\x1f', k.conname)
            else array_to_string(a.object_names, E'\x1f') end names,
        case when k.oid is null then array_to_string(a.object_args, E'\x1f') else '' end arguments
    from pg_description r
    cross join lateral pg_identify_object_as_address(r.classoid, r.objoid, r.objsubid) a
    left join pg_class c on r.classoid = 'pg_class'::regclass and c.oid = r.objoid
    left join pg_proc p on r.classoid = 'pg_proc'::regclass and p.oid = r.objoid
    left join pg_type t on r.classoid = 'pg_type'::regclass and t.oid = r.objoid
    left join (select k.oid, k.conname, t.typname, t.typnamespace from pg_constraint k
        join pg_type t on t.oid = k.contypid) k
        on r.classoid = 'pg_constraint'::regclass and k.oid = r.objoid
    where r.objoid >= 16384
        and r.classoid not in ('pg_namespace'::regclass, 'pg_extension'::regclass,
            'pg_trigger'::regclass, 'pg_policy'::regclass, 'pg_foreign_server'::regclass,
            'pg_event_trigger'::regclass,
            'pg_publication'::regclass, 'pg_subscription'::regclass)
        and not coalesce(p.prokind in ('f', 'p', 'w'), false)
        and not coalesce(t.typtype in ('e', 'd'), false)
        and case when c.oid is null then true
            when r.objsubid > 0 then c.relkind not in ('r', 'p') or c.relispartition
            when c.relkind in ('i', 'I') then exists (select from pg_constraint k
                where k.conindid = c.oid and k.contype in ('p', 'u', 'x'))
            else c.relkind = 'c' end
        and not exists (select from pg_depend e where e.classid = r.classoid
            and e.objid = r.objoid and e.deptype = 'e')
    order by 2, 3, 4";
