//! What a role has on single columns of a table, which PostgreSQL takes along when the same is
//! revoked on the table, and which is another grant's business.

use super::{Object, On, Snapshot, Spec, Verb, Work};

impl Snapshot {
    /// Gives back, behind what is revoked on a table, what goes along with that on its columns.
    pub(super) fn give_back_columns<'a>(
        &'a self,
        table: &'a Object,
        spec: &'a Spec,
        work: &mut Work<'a>,
    ) {
        if table.on != On::Tables || table.column.is_some() {
            return;
        }
        let held = table.held(&spec.role);
        let asked = |word: &str| spec.privileges.iter().any(|asked| asked == word);
        let revoked = |word: &str| held.contains_key(word) && !asked(word);
        let loses_option =
            |word: &str| !spec.with_grant_option && held.get(word) == Some(&true);
        let parts = self.objects.iter().filter(|part| {
            part.on == On::Tables && part.column.is_some() && part.target == table.target
        });
        for part in parts {
            // What others than the owner granted stays.
            let entries = part
                .acl
                .iter()
                .filter(|entry| entry.grantee == spec.role && entry.grantor.is_none());
            for entry in entries {
                let privilege = entry.privilege.as_str();
                let verb = match (revoked(privilege), entry.grantable) {
                    (_, true) if revoked(privilege) || loses_option(privilege) => {
                        Verb::GrantWithOption
                    }
                    (true, false) => Verb::Grant,
                    _ => continue,
                };
                let key = (verb, vec![privilege], part.column.as_deref());
                work.entry(key).or_default().push(&part.target);
            }
        }
    }
}
