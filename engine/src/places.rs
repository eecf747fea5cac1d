//! Where declarations stand in their list, found by their addresses.

use hashbrown::HashTable;

use crate::address::Address;
use crate::program::Declaration;

/// The places of declarations. It holds no addresses, only where to find them: a table of
/// thousands stays in the processor's caches, and making it counts nobody's references.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(HashTable<u32>);

impl Places {
    /// The places of these declarations; of several of one address, the last.
    pub(crate) fn of(declarations: &[Declaration]) -> Self {
        let mut places = HashTable::with_capacity(declarations.len());
        for (at, declaration) in (0..).zip(declarations) {
            let address = &declaration.address;
            let same = |place: &u32| standing(declarations, *place).address == *address;
            let hash = |place: &u32| standing(declarations, *place).address.own_hash();
            match places.entry(address.own_hash(), same, hash) {
                hashbrown::hash_table::Entry::Occupied(mut known) => *known.get_mut() = at,
                hashbrown::hash_table::Entry::Vacant(free) => {
                    free.insert(at);
                }
            }
        }
        Self(places)
    }

    /// The place of an address among the declarations this was made of.
    pub(crate) fn find(
        &self,
        address: &Address,
        declarations: &[Declaration],
    ) -> Option<usize> {
        let same = |place: &u32| standing(declarations, *place).address == *address;
        self.0.find(address.own_hash(), same).map(|place| *place as usize)
    }
}

fn standing(declarations: &[Declaration], place: u32) -> &Declaration {
    &declarations[place as usize]
}
