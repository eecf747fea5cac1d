//! What a table has because others, which it inherits from, have it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::super::column::Column;
use super::super::sql;

/// Columns that tables which this one inherits from have as well, by their names.
#[derive(Default, Deserialize)]
pub(super) struct Inherited {
    inherited: BTreeMap<String, Vec<Original>>,
}

/// The column of such a table.
#[derive(Deserialize)]
struct Original {
    table: String,
    not_null: bool,
    default: Option<String>,
    generated: Option<String>,
}

/// The expression for them, of the table `c`.
pub(super) fn query() -> String {
    let table = sql::bare("pn.nspname", "p.relname");
    format!(
        "(select coalesce(json_object_agg(a.attname, (select json_agg(json_build_object(
                'table', {table}, 'not_null', pa.attnotnull,
                'default', case when pa.attgenerated = ''
                    then pg_get_expr(pd.adbin, pd.adrelid) end,
                'generated', case when pa.attgenerated <> ''
                    then pg_get_expr(pd.adbin, pd.adrelid) end))
            from pg_inherits i join pg_class p on p.oid = i.inhparent
                join pg_namespace pn on pn.oid = p.relnamespace
                join pg_attribute pa on pa.attrelid = p.oid and pa.attname = a.attname
                    and pa.attnum > 0 and not pa.attisdropped
                left join pg_attrdef pd on pd.adrelid = pa.attrelid and pd.adnum = pa.attnum
            where i.inhrelid = c.oid)), '{{}}')
        from pg_attribute a where a.attrelid = c.oid and a.attinhcount > 0 and a.attnum > 0
            and not a.attisdropped and not c.relispartition)"
    )
}

impl Inherited {
    /// What of a column goes without saying, since one of these tables has it so. Whether the
    /// column itself does is told by the answer.
    pub(super) fn leave_out(
        &self,
        column: &mut Column,
        asked: Option<&Column>,
        tables: &BTreeSet<String>,
    ) -> bool {
        let originals = self.inherited.get(&column.name).into_iter().flatten();
        let originals: Vec<_> =
            originals.filter(|original| tables.contains(&original.table)).collect();
        let Some(asked) = asked else { return !originals.is_empty() };
        if !asked.not_null && originals.iter().any(|original| original.not_null) {
            column.not_null = false;
        }
        if asked.default.is_none()
            && originals.iter().any(|original| original.default == column.default)
        {
            column.default = None;
        }
        if asked.generated.is_none()
            && originals.iter().any(|original| original.generated == column.generated)
        {
            column.generated = None;
            column.stored = asked.stored;
        }
        false
    }

    /// Whether a column is as the tables have it that it is inherited from.
    pub(super) fn is_plain(&self, column: &Column) -> bool {
        let originals = self.inherited.get(&column.name);
        originals.is_some_and(|originals| {
            column.comment.is_none()
                && originals.iter().all(|original| {
                    column.not_null == original.not_null
                        && column.default == original.default
                        && column.generated == original.generated
                })
        })
    }
}
