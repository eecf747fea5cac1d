//! The last line of defence: takes known secrets out of any text.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::diagnostic::{Diagnostic, Findings};
use crate::ephemeral::Ephemeral;
use crate::expr::Expr;
use crate::plan::{LookupOutcome, Plan};
use crate::program::Program;
use crate::store::State;
use crate::value::Value;

/// What replaces a secret.
pub const MASK: &str = "(sensitive)";

/// Secrets shorter than this many bytes are left alone: they would hit ordinary words.
const SHORTEST: usize = 4;
/// A line of a longer secret is one of its own from this many bytes on.
const SHORTEST_LINE: usize = 8;
/// Text as short as this is no secret to look for inside base64.
const SHORTEST_BASE64: usize = 6;
/// What a URL leaves as it is.
const UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Replaces every known secret in a text, also where it was quoted or URL-encoded.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    automaton: Option<AhoCorasick>,
}

/// Gathers secrets from wherever they are known.
#[derive(Default)]
pub struct Secrets {
    texts: std::collections::BTreeSet<String>,
}

impl Secrets {
    /// Adds a text, and the forms it takes inside JSON, Rust's `{:?}`, URLs and base64.
    /// A log shows a text of many lines line by line, perhaps the last few only.
    pub fn add(&mut self, text: &str) {
        self.add_forms(text);
        self.add_forms(text.trim());
        if text.trim().contains('\n') {
            let lines = text.lines().map(str::trim);
            lines.filter(|line| line.len() >= SHORTEST_LINE).for_each(|line| {
                self.add_forms(line);
            });
        }
    }

    fn add_forms(&mut self, text: &str) {
        if text.len() < SHORTEST {
            return;
        }
        let json = serde_json::Value::from(text).to_string();
        let debug = format!("{text:?}");
        for form in [
            text,
            json.trim_matches('"'),
            debug.trim_matches('"'),
            &utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
            &utf8_percent_encode(text, UNRESERVED).to_string(),
            // Providers put user text in backticks, as all of dollop's messages do.
            &text.replace('"', "`"),
        ] {
            self.texts.insert(form.to_owned());
        }
        if text.len() < SHORTEST_BASE64 {
            return;
        }
        // What stands before it (`user:`) shifts it by up to two bytes, and shares the bits of
        // the characters at the ends.
        for before in 0..3 {
            let shifted = [&b".."[..before], text.as_bytes()].concat();
            let encoded = STANDARD_NO_PAD.encode(&shifted);
            let from = if before == 0 { 0 } else { before + 1 };
            let to = encoded.len() - usize::from(shifted.len() % 3 != 0);
            self.texts.insert(encoded[from..to].to_owned());
        }
    }

    /// Adds every secret in a value.
    pub fn add_value(&mut self, value: &Value) {
        value.each_secret(&mut |text| self.add(text));
    }

    /// Adds every secret a stack declares.
    pub fn add_program(&mut self, program: &Program) {
        program.secrets.iter().for_each(|value| self.add_value(value));
        for declaration in program.declarations.iter().chain(&program.dormant.declarations) {
            for value in declaration.attributes.values() {
                value.each_secret(&mut |text| self.add(text));
            }
        }
        for output in &program.outputs {
            output.value.each_secret(&mut |text| self.add(text));
        }
        for check in &program.checks {
            check.condition.each_secret(&mut |text| self.add(text));
            check.message.each_secret(&mut |text| self.add(text));
        }
    }

    /// Adds every secret dollop remembers.
    pub fn add_state(&mut self, state: &State) {
        for record in state.records.values() {
            self.add_value(&record.spec);
            self.add_value(&record.facts);
        }
        state.outputs.values().for_each(|value| self.add_value(value));
    }

    /// Adds every secret a plan carries.
    pub fn add_plan(&mut self, plan: &Plan) {
        plan.secrets.iter().for_each(|value| self.add_value(value));
        for change in &plan.changes {
            change.before.iter().for_each(|value| self.add_value(value));
            change.after.iter().for_each(|expr| expr.each_secret(&mut |text| self.add(text)));
            self.add_value(&change.facts);
        }
        for lookup in &plan.lookups {
            lookup.wanted.each_secret(&mut |text| self.add(text));
            if let LookupOutcome::Found { spec, facts } = &lookup.outcome {
                self.add_value(spec);
                self.add_value(facts);
            }
        }
        for connection in &plan.connections {
            connection.spec.each_secret(&mut |text| self.add(text));
        }
    }

    /// A redactor for all of them.
    pub fn redactor(&self) -> Redactor {
        if self.texts.is_empty() {
            return Redactor::default();
        }
        // Longest first, so that a secret inside another leaves no tail.
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&self.texts)
            .ok();
        Redactor { automaton }
    }
}

impl Redactor {
    /// A finding without known secrets; the script's own text stays as its author wrote it.
    #[must_use]
    pub fn clean_finding(&self, mut found: Diagnostic) -> Diagnostic {
        if self.automaton.is_some() {
            let words = found.related.iter_mut().map(|(_, words)| words);
            let texts = [&mut found.message, &mut found.label];
            let texts = texts.into_iter().chain(&mut found.notes).chain(&mut found.hints);
            texts.chain(words).for_each(|text| *text = self.clean(text));
        }
        found
    }

    /// Findings without known secrets.
    #[must_use]
    pub fn clean_findings(&self, findings: Findings) -> Findings {
        let Findings { diagnostics, sources } = findings;
        let diagnostics = diagnostics.into_iter().map(|found| self.clean_finding(found));
        Findings { diagnostics: diagnostics.collect(), sources }
    }

    /// The text with every known secret replaced by [`MASK`].
    pub fn clean(&self, text: &str) -> String {
        let Some(automaton) = &self.automaton else {
            return text.to_owned();
        };
        let mut clean = String::with_capacity(text.len());
        automaton.replace_all_with(text, &mut clean, |_, _, out| {
            out.push_str(MASK);
            true
        });
        clean
    }
}

/// What a declaration holds that is secret, for messages about it.
///
/// Who takes a text apart may name any piece of it, and a piece is in no list of secrets.
pub struct Hidden {
    /// In lower case: some services write words in capitals.
    texts: Vec<String>,
    /// Numbers, as they are written.
    numbers: Vec<String>,
}

impl Hidden {
    /// What is secret in these.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a Expr>) -> Self {
        let mut hidden = Self { texts: Vec::new(), numbers: Vec::new() };
        values.into_iter().for_each(|value| hidden.add(value, false));
        hidden
    }

    /// The same in specs.
    pub fn in_specs<'a>(specs: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut hidden = Self { texts: Vec::new(), numbers: Vec::new() };
        specs.into_iter().for_each(|spec| hidden.add_value(spec, false));
        hidden
    }

    fn add(&mut self, expr: &Expr, marked: bool) {
        match expr {
            Expr::Value(value) => self.add_value(value, marked),
            Expr::List(items) | Expr::Call(_, items) => {
                items.iter().for_each(|item| self.add(item, marked));
            }
            Expr::Map(entries) => entries.values().for_each(|item| self.add(item, marked)),
            Expr::Secret(inner) => self.add(inner, true),
            Expr::Reference(_) => {}
        }
    }

    fn add_value(&mut self, value: &Value, marked: bool) {
        match value {
            Value::Secret(inner) | Value::Ephemeral(Ephemeral::Known(inner)) => {
                self.add_value(inner, true);
            }
            Value::List(items) => items.iter().for_each(|item| self.add_value(item, marked)),
            Value::Map(entries) => {
                entries.values().for_each(|item| self.add_value(item, marked));
            }
            Value::String(text) if marked && !text.is_empty() => {
                self.texts.push(text.to_lowercase());
            }
            Value::Int(_) | Value::Float(_) if marked => {
                self.numbers.push(value.to_json().to_string());
            }
            _ => {}
        }
    }

    /// Whether words quote, between backticks or double quotes, a piece of a secret or more
    /// than one.
    pub fn is_told_by(&self, words: &str) -> bool {
        let number = |word: &str| self.numbers.iter().any(|number| number == word);
        let is_sign = |c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-'));
        if !self.numbers.is_empty() && words.split(is_sign).any(number) {
            return true;
        }
        if self.texts.is_empty() {
            return false;
        }
        let words = words.to_lowercase();
        let tells = |quoted: &str| {
            let held = |text: &String| text.contains(quoted) || quoted.contains(text.as_str());
            !quoted.trim().is_empty() && self.texts.iter().any(held)
        };
        let quotes = |quote: char| {
            // A secret with such a sign in it ends the quote too soon: then all is looked at.
            let blurred = self.texts.iter().any(|text| text.contains(quote));
            words.split(quote).skip(1).step_by(if blurred { 1 } else { 2 }).any(tells)
        };
        ['`', '"'].into_iter().any(quotes)
    }

    /// The words, or others in their place that tell nothing.
    pub fn or_nothing(&self, words: String) -> String {
        if self.is_told_by(&words) {
            "it holds a secret, so what is wrong with it is not shown".to_owned()
        } else {
            words
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_found_wherever_it_begins() {
        let mut secrets = Secrets::default();
        secrets.add("pl4in-word-8472");
        let redactor = secrets.redactor();
        for prefix in ["", "u:", "user:", "user4:"] {
            let encoded = STANDARD_NO_PAD.encode(format!("{prefix}pl4in-word-8472"));
            let clean = redactor.clean(&encoded);
            assert!(clean.contains(MASK) && clean.len() < 22, "{prefix}: {clean}");
        }
    }

    #[test]
    fn a_quoted_piece_of_a_secret_tells_it() {
        let spec = Value::Map(crate::map::Map::from([
            ("one".to_owned(), Value::string("user:Pa55").secret()),
            ("two".to_owned(), Value::string("user")),
        ]));
        let hidden = Hidden::in_specs([&spec]);
        for words in ["`PA55` is no port", "\"a user:pa55 b\" is wrong", "what `us` is"] {
            assert!(hidden.is_told_by(words), "{words}");
        }
        for words in ["`port` is no us", "the user `x`, the pa55 \"y\"", ""] {
            assert!(!hidden.is_told_by(words), "{words}");
        }
        let number = Value::Int(8080).secret();
        assert!(Hidden::in_specs([&number]).is_told_by("8080 is taken"));
        assert!(!Hidden::in_specs([&number]).is_told_by("18080 is taken"));
        assert!(!Hidden::in_specs([&Value::Int(8080)]).is_told_by("8080 is taken"));
    }

    #[test]
    fn lines_of_a_long_secret_are_secrets() {
        let mut secrets = Secrets::default();
        secrets.add("-----BEGIN-----\nMC4CAQAwBQ\n}\nVwBCIEIJwq\n");
        let redactor = secrets.redactor();
        assert_eq!(redactor.clean("log: VwBCIEIJwq }"), "log: (sensitive) }");
        let all = "-----BEGIN-----\nMC4CAQAwBQ\n}\nVwBCIEIJwq";
        assert_eq!(redactor.clean(all), "(sensitive)");
    }

    #[test]
    fn quoted_and_encoded_forms_are_found_too() {
        let mut secrets = Secrets::default();
        secrets.add("p\"w/1");
        let redactor = secrets.redactor();
        assert_eq!(
            redactor.clean(r#"p"w/1 "p\"w/1" pg://u:p%22w%2F1@h"#),
            "(sensitive) \"(sensitive)\" pg://u:(sensitive)@h"
        );
    }
}
