//! What a part of a template may be, as far as the values it is given tell before it runs.
//! To look is work too: it is counted, and what was found out once is kept.

use std::collections::BTreeMap;
use std::rc::Rc;

use minijinja::Value as Jinja;
use minijinja::value::ValueKind;

/// Values a name may stand for that are told apart.
const MOST_CANDIDATES: usize = 100_000;
/// Values that are looked at for one template, the same one again each time.
const MOST_VISITS: u64 = 10_000_000;

/// What a part of a template may be.
#[derive(Clone)]
pub(super) struct Guess {
    /// Bytes it takes at most.
    pub(super) size: u64,
    /// Which values, where that is known. Of numbers nothing more is asked.
    pub(super) values: Option<Rc<[Jinja]>>,
    /// Whether it is a number in any case.
    pub(super) is_number: bool,
    /// The largest number it may be, without its sign and rounded up, where that is known:
    /// so it holds after `abs`, `round` and a minus, too.
    pub(super) most: Option<u64>,
}

impl Guess {
    /// Something that takes so many bytes.
    pub(super) fn size(size: u64) -> Self {
        Self { size, values: None, is_number: false, most: None }
    }

    /// A number, up to the largest where that is known.
    pub(super) fn number(most: Option<u64>) -> Self {
        Self { size: 16, values: None, is_number: true, most }
    }
}

/// How parts of a value are reached.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// What a loop over it is given: items, or keys.
    Items,
    /// What stands in it: items, or the values of keys.
    Inside,
    /// The value of one key.
    Attribute(String),
}

impl Part {
    /// Adds the parts of one value, as long as `more` are wanted.
    fn add(&self, value: &Jinja, found: &mut Vec<Jinja>, more: &mut impl FnMut() -> bool) {
        if let Self::Attribute(name) = self {
            found.extend(value.get_attr(name).ok().filter(|_| more()));
            return;
        }
        let by_key = *self == Self::Inside && value.kind() == ValueKind::Map;
        for item in value.try_iter().into_iter().flatten() {
            if !more() {
                return;
            }
            if by_key {
                found.extend(value.get_item(&item).ok());
            } else {
                found.push(item);
            }
        }
    }
}

/// Looks at values.
#[derive(Default)]
pub(super) struct Looking {
    /// How many were looked at.
    visits: u64,
    /// Parts that were asked for, by the place of the whole, which is kept so that nothing
    /// else takes its place.
    found: BTreeMap<(usize, Part), Known>,
}

/// A whole, and what is known of one of its parts.
type Known = (Rc<[Jinja]>, Guess);

impl Looking {
    /// How many values were looked at.
    pub(super) fn visits(&self) -> u64 {
        self.visits
    }

    /// Whether there was too much to look at: then nothing is known.
    pub(super) fn is_over(&self) -> bool {
        self.visits > MOST_VISITS
    }

    /// One of these values.
    pub(super) fn values(&mut self, values: Vec<Jinja>) -> Guess {
        let (mut size, mut is_number, mut most) = (16, true, Some(0));
        let mut is_there = false;
        for value in &values {
            if self.is_over() {
                return Guess::size(u64::MAX);
            }
            size = self.size(value).max(size);
            // Nothing is made of a value that is not there: that is an error.
            if !value.is_undefined() {
                is_there = true;
                is_number &= value.is_number();
                let magnitude = if is_number { magnitude(value) } else { None };
                most = most.zip(magnitude).map(|(one, two)| one.max(two));
            }
        }
        if is_there && is_number {
            return Guess::number(most);
        }
        let values = (values.len() <= MOST_CANDIDATES).then(|| values.into());
        Guess { size, values, is_number, most }
    }

    /// Part of it; of what is not known the part may be as large.
    pub(super) fn part(&mut self, whole: &Guess, part: Part) -> Guess {
        let Some(values) = &whole.values else { return whole.clone() };
        let key = (values.as_ptr().addr(), part);
        if let Some((_, known)) = self.found.get(&key) {
            return known.clone();
        }
        let mut inner = Vec::new();
        for value in values.iter() {
            let mut more = || {
                self.visits += 1;
                self.visits <= MOST_VISITS
            };
            if !more() {
                return Guess::size(u64::MAX);
            }
            key.1.add(value, &mut inner, &mut more);
        }
        let guess = self.values(inner);
        self.found.insert(key, (Rc::clone(values), guess.clone()));
        guess
    }

    /// One or the other.
    pub(super) fn either(&mut self, one: &Guess, two: &Guess) -> Guess {
        let values = match (&one.values, &two.values) {
            (Some(first), Some(second)) if Rc::ptr_eq(first, second) => return one.clone(),
            (Some(first), Some(second))
                if first.len() + second.len() <= MOST_CANDIDATES && !self.is_over() =>
            {
                let both: Rc<[Jinja]> = first.iter().chain(second.iter()).cloned().collect();
                self.visits += both.len() as u64;
                Some(both)
            }
            _ => None,
        };
        Guess {
            size: one.size.max(two.size),
            values,
            is_number: one.is_number && two.is_number,
            most: one.most.zip(two.most).map(|(one, two)| one.max(two)),
        }
    }

    /// How often a loop over it may go round.
    pub(super) fn rounds(&mut self, over: &Guess) -> u64 {
        // Where nothing is known, an item takes one byte at least.
        let Some(values) = &over.values else { return over.size };
        self.visits += values.len() as u64;
        if self.is_over() {
            return u64::MAX;
        }
        let rounds = values.iter().map(|value| match value.as_str() {
            Some(text) => text.len() as u64,
            None => value.len().map_or(over.size, |count| count as u64),
        });
        rounds.max().unwrap_or(0)
    }

    /// About how many bytes a value takes.
    fn size(&mut self, value: &Jinja) -> u64 {
        self.visits += 1;
        if let Some(text) = value.as_str() {
            return 16 + text.len() as u64;
        }
        let Ok(items) = value.try_iter() else { return 16 };
        let is_map = value.kind() == ValueKind::Map;
        let mut sum = 16;
        for item in items {
            if self.is_over() {
                break;
            }
            sum += self.size(&item);
            if let Some(inner) = is_map.then(|| value.get_item(&item).ok()).flatten() {
                sum += self.size(&inner);
            }
        }
        sum
    }
}

/// A number without its sign, rounded up.
fn magnitude(value: &Jinja) -> Option<u64> {
    let whole = i128::try_from(value.clone()).or_else(|_| {
        let number = f64::try_from(value.clone())?;
        i128::try_from(Jinja::from(number.abs().ceil()))
    });
    u64::try_from(whole.ok()?.unsigned_abs()).ok()
}
