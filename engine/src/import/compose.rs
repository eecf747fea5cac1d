//! From objects to statements: what each is called, what it refers to, in which order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};

use super::Existing;
use super::names::{Wanted, unique};
use super::statement::{One, fresh, heading, is_left_out, label, parents};
use crate::address::Address;
use crate::graph::Graph;
use crate::kind::{Kind, Registry, short_name};
use crate::schema::{Attribute, Type};
use crate::script::write::{Code, Statement, Writer};
use crate::value::Value;

/// Where the statements will stand.
pub(super) struct Place<'a> {
    /// What can be declared.
    pub(super) registry: &'a Registry,
    /// What is declared already.
    pub(super) graph: &'a Graph,
    /// The connection.
    pub(super) connection: &'a Address,
    /// The variable of the connection; `None` for one that need not be declared.
    pub(super) on: Option<&'a str>,
}

/// Statements, and what they say.
#[derive(Debug, Default)]
pub(super) struct Composed {
    /// In an order in which everything comes after what it uses.
    pub(super) statements: Vec<Statement>,
    /// What is declared: its address, and the object's place among those given.
    pub(super) declared: Vec<(Address, usize)>,
    /// Secret parameters with their values.
    pub(super) secrets: BTreeMap<String, Value>,
    /// The one parameter that holds all secrets, where they are many.
    pub(super) gathered: Option<String>,
}

/// With more secrets than these, one parameter holds them all: a stack has room for so many
/// parameters only, and nobody reads a list of them.
const MOST_ALONE: usize = 100;

/// A kind of object, the names of what it lives in, and its own.
type Key = (&'static str, Vec<String>, String);

/// What a name stands for.
pub(super) enum Meant {
    /// One of the objects.
    Object(usize),
    /// Something the stack declares already.
    Declared(Address),
}

/// Composes statements for objects.
pub(super) fn compose(place: &Place<'_>, objects: &[Existing]) -> Composed {
    let composer = Composer {
        place,
        objects,
        writer: Writer::default(),
        known: known(place, objects),
        by_id: objects
            .iter()
            .enumerate()
            .map(|(index, object)| ((object.kind.name, object.found.id.as_str()), index))
            .collect(),
        levels: levels(place.registry),
    };
    let needs: Vec<BTreeSet<usize>> =
        (0..objects.len()).map(|index| composer.needs(index)).collect();
    // What is the service's own is looked up only where something else needs it.
    let mut wanted: Vec<bool> = objects.iter().map(|object| !object.built_in).collect();
    let mut queue: Vec<usize> = (0..objects.len()).filter(|index| wanted[*index]).collect();
    while let Some(index) = queue.pop() {
        for needed in &needs[index] {
            if !std::mem::replace(&mut wanted[*needed], true) {
                queue.push(*needed);
            }
        }
    }
    let order = composer.order(&needs, &wanted);
    let variables = composer.variables(&order, &needs);
    composer.statements(&order, &variables)
}

/// Knows what every name stands for.
pub(super) struct Composer<'a> {
    pub(super) place: &'a Place<'a>,
    objects: &'a [Existing],
    pub(super) writer: Writer,
    known: HashMap<Key, Meant>,
    by_id: HashMap<(&'static str, &'a str), usize>,
    levels: BTreeMap<&'static str, usize>,
}

/// Everything a name can stand for.
fn known(place: &Place<'_>, objects: &[Existing]) -> HashMap<Key, Meant> {
    let mut known = HashMap::new();
    for declaration in place.graph.in_order() {
        let here = declaration.connection.as_ref() == Some(place.connection);
        let kind = place.registry.kind(declaration.address.kind()).filter(|_| here);
        let Some(kind) = kind else { continue };
        let text = |name: &str| {
            let value = declaration.attributes.get(name)?;
            match value.references().first() {
                Some(reference) => Some(reference.address.name().to_owned()),
                None => value.known()?.as_str().map(str::to_owned),
            }
        };
        if let Some(key) = key(kind, &text) {
            known.insert(key, Meant::Declared(declaration.address.clone()));
        }
    }
    for (index, object) in objects.iter().enumerate() {
        let spec = &object.found.spec;
        let text = |name: &str| spec.get(name)?.as_str().map(str::to_owned);
        if let Some(key) = key(&object.kind, &text) {
            known.entry(key).or_insert(Meant::Object(index));
        }
    }
    known
}

fn key(kind: &Kind, text: &dyn Fn(&str) -> Option<String>) -> Option<Key> {
    let parents = kind.traits.within.iter().map(|name| text(name)).collect::<Option<_>>()?;
    Some((kind.name, parents, text("name")?))
}

/// How far each kind is from those that refer to no other.
fn levels(registry: &Registry) -> BTreeMap<&'static str, usize> {
    let mut levels: BTreeMap<&'static str, usize> =
        registry.kinds().map(|kind| (kind.name, 0)).collect();
    // Kinds may refer to each other in a circle: no level is higher than there are kinds.
    let highest = levels.len();
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for kind in registry.kinds() {
            let mut needed: Vec<&str> = kind.traits.named_after.into_iter().collect();
            handles(&kind.schema.spec, &mut needed);
            let above = needed.into_iter().filter(|needed| *needed != kind.name);
            let above = above.filter_map(|needed| levels.get(needed)).max();
            let level = above.map_or(0, |above| above + 1).min(highest);
            if level > levels[kind.name] {
                levels.insert(kind.name, level);
                changed = true;
            }
        }
    }
    levels
}

/// The kinds that attributes stand for.
fn handles<'a>(attributes: &'a BTreeMap<String, Attribute>, found: &mut Vec<&'a str>) {
    for attribute in attributes.values() {
        found.extend(attribute.handle.iter().map(String::as_str));
        if let Type::Object(inner) = &attribute.ty {
            handles(inner, found);
        }
    }
}

impl Composer<'_> {
    /// What a name in the spec of `holder` stands for.
    fn meant(&self, holder: &Value, kinds: &[String], name: &str) -> Option<&Meant> {
        kinds.iter().find_map(|kind| {
            let kind = self.place.registry.kind(kind)?;
            let text = |attribute: &str| match attribute {
                "name" => Some(name.to_owned()),
                parent => holder.get(parent)?.as_str().map(str::to_owned),
            };
            self.known.get(&key(kind, &text)?)
        })
    }

    /// The innermost of its parents that is known: what it is, and the attributes that say so.
    pub(super) fn parent(
        &self,
        object: &Existing,
    ) -> Option<(&Meant, &'static [&'static str])> {
        let within = object.kind.traits.within;
        let spec = &object.found.spec;
        (1..=within.len()).rev().find_map(|depth| {
            let name = within[depth - 1];
            let handle = &object.kind.schema.spec.get(name)?.handle;
            let meant = self.meant(spec, handle, spec.get(name)?.as_str()?)?;
            Some((meant, &within[..depth]))
        })
    }

    /// The objects it needs beside those that its attributes name.
    pub(super) fn needed(&self, object: &Existing) -> impl Iterator<Item = usize> {
        object
            .needs
            .iter()
            .filter_map(|need| self.by_id.get(&(need.kind.as_str(), need.id.as_str())).copied())
    }

    /// What one of the objects is, in words.
    pub(super) fn words(&self, index: usize) -> String {
        super::words(&self.objects[index].kind, &self.objects[index].found.spec)
    }

    /// What it is named after.
    pub(super) fn namesake(&self, object: &Existing) -> Option<&Meant> {
        let kind = object.kind.traits.named_after?.to_owned();
        let spec = &object.found.spec;
        self.meant(spec, &[kind], spec.get("name")?.as_str()?)
    }

    /// The other objects it refers to.
    fn needs(&self, index: usize) -> BTreeSet<usize> {
        let object = &self.objects[index];
        let mut needs = BTreeSet::new();
        let mut note = |meant: &Meant| {
            if let Meant::Object(other) = meant
                && *other != index
            {
                needs.insert(*other);
            }
            None
        };
        for (name, value) in object.found.spec.as_map().into_iter().flatten() {
            if let Some(attribute) = object.kind.schema.spec.get(name) {
                let Attribute { ty, handle, .. } = attribute;
                self.code(&object.found.spec, ty, handle, value, &mut note);
            }
        }
        if let Some(meant) = self.namesake(object) {
            note(meant);
        }
        needs.extend(self.needed(object).filter(|other| *other != index));
        needs
    }

    /// A value as it is written; `refer` gives the variable of what a name stands for.
    pub(super) fn code(
        &self,
        holder: &Value,
        ty: &Type,
        handle: &[String],
        value: &Value,
        refer: &mut dyn FnMut(&Meant) -> Option<String>,
    ) -> Code {
        let ty = match ty {
            Type::Either(forms) => {
                let form = forms.iter().find(|form| match value {
                    Value::List(_) => matches!(form, Type::List(_)),
                    Value::Map(_) => matches!(form, Type::Map(_) | Type::Object(_)),
                    _ => false,
                });
                form.unwrap_or(ty)
            }
            other => other,
        };
        match (value, ty) {
            (Value::String(name), _) if !handle.is_empty() => {
                match self.meant(holder, handle, name).and_then(&mut *refer) {
                    Some(variable) => Code::Variable(variable),
                    None => Code::Value(value.clone()),
                }
            }
            (Value::List(items), Type::List(item)) => {
                let code = |value| self.code(holder, item, handle, value, refer);
                Code::List(items.iter().map(code).collect())
            }
            (Value::Map(entries), Type::Map(item)) => {
                let entry = |(key, value): (&String, &Value)| {
                    (key.clone(), self.code(holder, item, handle, value, refer))
                };
                Code::Map(entries.iter().map(entry).collect())
            }
            (Value::Map(entries), Type::Object(attributes)) => {
                let entry = |(key, value): (&String, &Value)| {
                    let attribute = attributes.get(key)?;
                    let Attribute { ty, handle, .. } = attribute;
                    let code = || self.code(holder, ty, handle, value, refer);
                    (!is_left_out(attribute, value)).then(code).map(|code| (key.clone(), code))
                };
                Code::Map(entries.iter().filter_map(entry).collect())
            }
            _ => Code::Value(value.clone()),
        }
    }

    /// Everything after what it needs, otherwise by place, kind and name.
    fn order(&self, needs: &[BTreeSet<usize>], wanted: &[bool]) -> Vec<usize> {
        let rank = |index: usize| {
            let Existing { kind, found, .. } = &self.objects[index];
            let level = self.levels.get(kind.name).copied().unwrap_or_default();
            let name = found.spec.get("name").and_then(Value::as_str).map(str::to_owned);
            (
                parents(kind, &found.spec),
                level,
                kind.name,
                name.unwrap_or_else(|| label(kind, &found.spec)),
                index,
            )
        };
        let mut missing: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
        let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
        for (index, needs) in needs.iter().enumerate().filter(|(index, _)| wanted[*index]) {
            for needed in needs {
                needed_by[*needed].push(index);
            }
        }
        let mut left: BTreeSet<_> =
            (0..needs.len()).filter(|index| wanted[*index]).map(rank).collect();
        let mut ready: BinaryHeap<_> =
            left.iter().filter(|rank| missing[rank.4] == 0).cloned().map(Reverse).collect();
        let mut order = Vec::with_capacity(left.len());
        // Objects that need each other: one of them is written first, by name.
        while let Some(next) =
            ready.pop().map(|Reverse(next)| next).or_else(|| left.first().cloned())
        {
            if !left.remove(&next) {
                continue;
            }
            order.push(next.4);
            for other in &needed_by[next.4] {
                missing[*other] -= 1;
                if missing[*other] == 0 {
                    ready.push(Reverse(rank(*other)));
                }
            }
        }
        order
    }

    /// The variables of those that others use further down.
    fn variables(&self, order: &[usize], needs: &[BTreeSet<usize>]) -> HashMap<usize, String> {
        let mut used = HashSet::new();
        let mut before = HashSet::new();
        for index in order {
            used.extend(needs[*index].iter().copied().filter(|needed| before.contains(needed)));
            before.insert(*index);
        }
        let wanted = order.iter().filter(|index| used.contains(index)).map(|index| {
            let Existing { kind, found, .. } = &self.objects[*index];
            let name = found.spec.get("name").and_then(Value::as_str).unwrap_or_default();
            let short = short_name(kind.name);
            let mut parents = parents(kind, &found.spec);
            let parent = parents.pop().unwrap_or_default();
            let own = self.writer.identifier(name, short);
            Wanted {
                plain: own.clone(),
                by_kind: self.writer.identifier(&format!("{own}_{short}"), short),
                by_parent: self.writer.identifier(&format!("{parent}_{own}"), short),
                whole: self.writer.identifier(&format!("{parent}_{own}_{short}"), short),
                index: *index,
            }
        });
        let root = self.place.on.and_then(|on| on.split('.').next()).unwrap_or_default();
        unique(wanted.collect(), root)
    }

    fn statements(&self, order: &[usize], variables: &HashMap<usize, String>) -> Composed {
        let mut composed = Composed::default();
        let mut taken: HashSet<Address> =
            self.place.graph.in_order().map(|known| known.address.clone()).collect();
        let asked = self.place.graph.program().parameters.iter();
        let parameters: HashSet<&str> = asked.map(|asked| asked.name.as_str()).collect();
        // What each is called by its first argument.
        let mut firsts: HashMap<usize, String> = HashMap::new();
        let mut section = Vec::new();
        for index in order {
            let object = &self.objects[*index];
            let around = parents(&object.kind, &object.found.spec);
            let heading = (around != section).then(|| heading(&object.kind, &around));
            section = around;
            let mut one = One {
                composer: self,
                object,
                variables,
                firsts: &firsts,
                depends_on: object.after.clone(),
                referred: BTreeSet::new(),
            };
            let (statement, first, address) = one.statement(
                variables.get(index),
                &mut taken,
                (&parameters, &mut composed.secrets),
            );
            composed.statements.push(Statement { heading, ..statement });
            firsts.insert(*index, first);
            if !object.built_in {
                composed.declared.push((address, *index));
            }
        }
        if composed.secrets.len() > MOST_ALONE {
            let root = self.place.on.and_then(|on| on.split('.').next()).unwrap_or_default();
            let taken = |name: &str| {
                name == root
                    || parameters.contains(name)
                    || variables.values().any(|variable| variable == name)
            };
            gather(&mut composed, fresh("secrets", taken));
        }
        composed
    }
}

/// Puts all secrets into one parameter.
fn gather(composed: &mut Composed, name: String) {
    let attributes = composed.statements.iter_mut().flat_map(|one| &mut one.attributes);
    for (_, code) in attributes {
        if let Code::Secret { name: key, .. } = code {
            *code = Code::Variable(format!("{name}.{key}"));
        }
    }
    let all = std::mem::take(&mut composed.secrets).into_iter().collect();
    composed.secrets.insert(name.clone(), Value::Map(all));
    composed.gathered = Some(name);
}
