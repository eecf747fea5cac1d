//! What functions of other languages are called here, for whoever writes them from memory.

/// Names elsewhere, and what to write instead.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (
        &["jsonencode", "to_json_string", "stringify", "dumps", "toJson", "json_encode"],
        "`json(value)`",
    ),
    (&["jsondecode", "fromJson", "json_parse", "from_json"], "`json_decode(text)`"),
    (&["yamlencode", "toYaml", "yaml_encode"], "`yaml(value)`"),
    (&["yamldecode", "fromYaml"], "`yaml_decode(text)`"),
    (&["tomlencode", "toToml", "toml_encode"], "`toml(map)`"),
    (&["csvdecode"], "`csv_decode(text)`"),
    (&["base64encode", "b64encode", "base64_encode", "btoa", "b64enc"], "`base64(text)`"),
    (&["base64decode", "b64decode", "atob", "b64dec"], "`base64_decode(text)`"),
    (
        &["urlencode_component", "url_encode", "encodeURIComponent", "quote"],
        "`urlencode(text)`",
    ),
    (&["filebase64"], "`file_base64(path)`"),
    (&["filesha256"], "`file_sha256(path)`"),
    (&["base64sha256"], "`sha256_base64(text)`"),
    (&["hmac"], "`hmac_sha256(key, text)`"),
    (&["glob", "fileset"], "`files(folder, \"**/*.sql\")`"),
    (&["fileexists"], "`file_exists(path)`"),
    (&["templatefile"], "`template(path, values)`"),
    (&["read_file", "readfile", "open", "readFileSync", "include_str"], "`file(path)`"),
    (&["basename"], "`base_name(path)`"),
    (&["dirname"], "`dir_name(path)`"),
    (&["length", "size", "count", "strlen"], "`list.len()`"),
    (&["lower", "lowercase", "toLowerCase", "downcase"], "`text.to_lower()`"),
    (&["upper", "uppercase", "toUpperCase", "upcase"], "`text.to_upper()`"),
    (&["substr", "substring"], "`text.sub_string(start, length)`"),
    (&["startswith", "hasPrefix", "startsWith"], "`text.starts_with(part)`"),
    (&["endswith", "hasSuffix", "endsWith"], "`text.ends_with(part)`"),
    (&["strcontains", "includes", "has"], "`text.contains(part)`"),
    (&["trimspace", "strip"], "`text.trim()`"),
    (&["trimprefix"], "`trim_prefix(text, prefix)`"),
    (&["trimsuffix"], "`trim_suffix(text, suffix)`"),
    (&["strrev"], "`join(reversed(text.split(\"\")), \"\")`"),
    (&["regexall"], "`regex_find_all(text, pattern)`"),
    (&["tostring", "str", "toString", "String"], "`value.to_string()`"),
    (
        &["tonumber", "parseInt", "parseFloat", "Number", "float"],
        "`parse_int(text)` or `parse_float(text)`",
    ),
    (&["tobool", "bool", "Boolean"], "`parse_bool(text)`"),
    (&["distinct"], "`unique(list)`"),
    (&["concat", "append_all", "extend"], "`a + b`"),
    (&["lookup"], "`map.get(key) ?? other`"),
    (&["formatlist"], "`list.map(|item| format(\"%s\", [item]))`"),
    (&["matchkeys"], "`list.filter(|item| wanted.contains(item.key))`"),
    (&["nonsensitive"], "what is secret stays so: declare the parameter without `secret`"),
    (&["sensitive"], "`secret(value)`"),
    (&["try", "can"], "`map.get(key) ?? other` or `get_path(map, path, other)`"),
    (
        &["toset", "tolist", "tomap", "list"],
        "a list is written `[a, b]`, a map `#{ a: 1 }`; `unique(list)` leaves out what is there twice",
    ),
    (&["typeof", "type", "isinstance"], "`type_of(value)`"),
    (&["items"], "`entries(map)`"),
    (&["enumerate"], "write `for (item, i) in list { .. }`"),
    (&["forEach", "each"], "`for_each(list, |item| ..)`"),
    (&["indexOf"], "`list.index_of(item)`"),
    (&["printf", "echo", "println", "puts"], "`print(value)`"),
    (&["sprintf"], "`format(\"%s:%d\", [host, port])`"),
    (&["abspath", "pathexpand"], "paths are relative to the script, and stay in the project"),
    (
        &["ternary", "iif", "if_else"],
        "`choose(condition, yes, no)`, or `if condition { a } else { b }`",
    ),
    (&["alltrue", "anytrue"], "`all_true(list)` or `any_true(list)`"),
    (&["slugify"], "`kebab_case(text)`"),
    (&["require", "include", "load"], "write `import \"lib/name\" as name;`"),
    (&["variable", "input", "config", "get_input"], "`param(\"name\", #{ default: 1 })`"),
    (&["resource"], "call the kind: `docker::container(\"web\", #{ image: \"nginx:1.27\" })`"),
    (&["timeadd"], "`time_add(time, duration)`"),
    (&["timecmp"], "`time_compare(a, b)`"),
    (&["formatdate", "strftime"], "`time_format(time, pattern)`"),
    (&["cidrsubnet"], "`cidr_subnet(range, bits, number)`"),
    (&["cidrhost"], "`cidr_host(range, number)`"),
    (&["setunion"], "`set_union(a, b)`"),
    (&["setproduct"], "`set_product(lists)`"),
    (
        &["timestamp", "plantimestamp", "now", "date", "time"],
        "there is no clock, so that a plan stays the same: hand the time over as a parameter",
    ),
    (
        &["rand", "random", "uuid", "uuid4", "random_password"],
        "nothing is random, so that a plan stays the same: `local::random(\"name\").result` is \
         made once and kept",
    ),
    (&["getenv", "get_env", "environ", "env_var"], "a parameter: `DOLLOP_PARAM_name` sets it"),
];

/// Advice for a name that other languages know.
pub(in crate::script) fn instead(name: &str) -> Option<String> {
    let found = ELSEWHERE.iter().find(|(names, _)| names.contains(&name));
    found.map(|(_, words)| {
        if words.starts_with('`') { format!("write {words}") } else { (*words).to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::entries;
    use super::ELSEWHERE;

    #[test]
    fn names_of_elsewhere_are_not_ours_and_what_to_write_is() {
        let ours: BTreeSet<&str> = entries().map(super::super::Entry::name).collect();
        let mut seen = BTreeSet::new();
        for (names, words) in ELSEWHERE {
            for name in *names {
                assert!(!ours.contains(name), "`{name}` is a function here");
                assert!(seen.insert(name), "`{name}` is there twice");
            }
            let called = words.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            let known = called.filter(|word| ours.contains(word)).count();
            assert!(known > 0 || !words.starts_with('`') || words.contains("a + b"), "{words}");
        }
    }
}
