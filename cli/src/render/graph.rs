//! The graph of a stack, for Graphviz, Mermaid and programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dollop_engine::address::Address;
use dollop_engine::graph::{Graph, Why, reasons};
use dollop_engine::program::Declaration;
use serde_json::{Value as Json, json};

use crate::render::relations::document;
use crate::render::text::clean;

/// Which addresses are shown.
type Shown<'a> = &'a dyn Fn(&Address) -> bool;

/// As DOT. An arrow goes from what needs to what is needed.
pub fn dot(graph: &Graph, shown: Shown<'_>) -> String {
    let mut out = String::from("digraph dollop {\n  rankdir = LR\n  node [shape = box]\n");
    for declaration in nodes(graph, shown) {
        let name = dot_text(&declaration.address.to_string());
        let shape = if declaration.connection.is_none() { " [shape = ellipse]" } else { "" };
        let _ = writeln!(out, "  {name}{shape}");
    }
    for (from, to, words) in edges(graph, shown) {
        let label = words.join(", ");
        let (from, to) = (dot_text(&from.to_string()), dot_text(&to.to_string()));
        let _ = writeln!(out, "  {from} -> {to} [label = {}]", dot_text(&label));
    }
    out + "}\n"
}

/// As a Mermaid flowchart.
pub fn mermaid(graph: &Graph, shown: Shown<'_>) -> String {
    let mut out = String::from("flowchart LR\n");
    let mut ids: BTreeMap<&Address, usize> = BTreeMap::new();
    for declaration in nodes(graph, shown) {
        let id = ids.len();
        ids.insert(&declaration.address, id);
        let name = mermaid_text(&declaration.address.to_string());
        let (open, close) =
            if declaration.connection.is_none() { ("([", "])") } else { ("[", "]") };
        let _ = writeln!(out, "  n{id}{open}\"{name}\"{close}");
    }
    for (from, to, words) in edges(graph, shown) {
        let label = words.join(", ");
        let (Some(from), Some(to)) = (ids.get(from), ids.get(to)) else { continue };
        let _ = writeln!(out, "  n{from} -->|\"{}\"| n{to}", mermaid_text(&label));
    }
    out
}

/// As JSON: what there is, in an order in which everything comes after what it needs, and
/// who needs whom for which reasons.
pub fn json(graph: &Graph, shown: Shown<'_>) -> Json {
    let nodes = nodes(graph, shown).map(|declaration| {
        json!({
            "address": declaration.address,
            "kind": declaration.address.kind(),
            "connection": declaration.connection,
            "lookup": declaration.lookup.is_some(),
            "profiles": declaration.lifecycle.profiles,
            "file": declaration.span.file,
            "line": declaration.span.line,
            "column": declaration.span.column,
        })
    });
    let edges = edges(graph, shown).into_iter();
    let edges = edges.map(|(from, to, why)| json!({ "from": from, "to": to, "why": why }));
    document(json!({
        "stack": graph.program().stack,
        "environment": graph.program().environment,
        "nodes": nodes.collect::<Vec<_>>(),
        "edges": edges.collect::<Vec<_>>(),
    }))
}

fn nodes<'a>(graph: &'a Graph, shown: Shown<'a>) -> impl Iterator<Item = &'a Declaration> {
    graph.in_order().filter(move |declaration| shown(&declaration.address))
}

/// One edge for each pair of what is shown, with its reasons.
fn edges<'a>(
    graph: &'a Graph,
    shown: Shown<'a>,
) -> Vec<(&'a Address, &'a Address, Vec<String>)> {
    let mut found = Vec::new();
    for declaration in nodes(graph, shown) {
        let mut needed: BTreeMap<&Address, Vec<String>> = BTreeMap::new();
        for (other, why) in reasons(declaration).into_iter().filter(|(other, _)| shown(other)) {
            let word = match why {
                Why::Uses(path) => path.to_string(),
                Why::Connection => "through".to_owned(),
                Why::DependsOn => "depends_on".to_owned(),
                Why::AfterHealthy => "after_healthy".to_owned(),
                Why::Triggers => "replace_triggered_by".to_owned(),
            };
            let words = needed.entry(other).or_default();
            if !words.contains(&word) {
                words.push(word);
            }
        }
        for (address, mut words) in needed {
            words.sort();
            found.push((&declaration.address, address, words));
        }
    }
    found
}

fn dot_text(text: &str) -> String {
    format!("\"{}\"", clean(text).replace('\\', "\\\\").replace('"', "\\\""))
}

/// Mermaid has no escapes but entities of its own: `#34;` is a quotation mark.
fn mermaid_text(text: &str) -> String {
    let mut out = String::new();
    for character in clean(text).chars() {
        if character.is_alphanumeric() || " .:/_-,%".contains(character) {
            out.push(character);
        } else {
            let _ = write!(out, "#{};", u32::from(character));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dollop_engine::graph::build;
    use dollop_engine::program::Program;

    use super::*;
    use crate::render::fixture::{address, at, reference};

    fn graph() -> Graph {
        let declare =
            |name: &str, connection: Option<&str>, uses: &[(&str, &str)]| Declaration {
                address: address(name),
                connection: connection.map(address),
                attributes: uses
                    .iter()
                    .map(|(attribute, of)| ((*attribute).to_owned(), reference(of, "id")))
                    .collect(),
                lifecycle: dollop_engine::program::Lifecycle::plain(),
                allow: std::collections::BTreeSet::new(),
                clear: Vec::new(),
                lookup: None,
                implicit: false,
                off: None,
                span: at(1, 1),
                spans: std::sync::Arc::new(BTreeMap::new()),
            };
        let engine = "docker::engine.default";
        let net = "docker::network.app";
        build(Program {
            declarations: vec![
                declare(engine, None, &[]),
                declare(net, Some(engine), &[]),
                declare(
                    "docker::container.w%22b",
                    Some(engine),
                    &[("networks", net), ("env", net)],
                ),
            ],
            ..Program::default()
        })
        .unwrap()
    }

    #[test]
    fn dot_has_labelled_edges() {
        insta::assert_snapshot!(dot(&graph(), &|_| true), @r#"
        digraph dollop {
          rankdir = LR
          node [shape = box]
          "docker::engine.default" [shape = ellipse]
          "docker::network.app"
          "docker::container.w%22b"
          "docker::network.app" -> "docker::engine.default" [label = "through"]
          "docker::container.w%22b" -> "docker::engine.default" [label = "through"]
          "docker::container.w%22b" -> "docker::network.app" [label = "env, networks"]
        }
        "#);
    }

    #[test]
    fn mermaid_has_labelled_edges() {
        insta::assert_snapshot!(mermaid(&graph(), &|_| true), @r#"
        flowchart LR
          n0(["docker::engine.default"])
          n1["docker::network.app"]
          n2["docker::container.w%22b"]
          n1 -->|"through"| n0
          n2 -->|"through"| n0
          n2 -->|"env, networks"| n1
        "#);
    }

    #[test]
    fn a_part_has_the_edges_inside_it() {
        let part = |shown: &Address| shown.kind() != "docker::engine";
        let json = json(&graph(), &part);
        assert_eq!(json["nodes"].as_array().unwrap().len(), 2);
        assert_eq!(json["edges"].as_array().unwrap().len(), 1);
        assert_eq!(json["edges"][0]["why"], serde_json::json!(["env", "networks"]));
        assert!(!dot(&graph(), &part).contains("docker::engine"));
    }

    #[test]
    fn text_cannot_end_its_label() {
        assert_eq!(mermaid_text("a\"]b"), "a#34;#93;b");
        assert_eq!(dot_text("a\"\\"), r#""a\"\\""#);
    }
}
