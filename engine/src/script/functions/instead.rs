//! What functions of other languages are called here, for whoever writes them from memory.

/// Names elsewhere, and what to write instead.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["jsonencode", "to_json_string", "toJson", "json_encode"], "`json(value)`"),
    (&["jsondecode", "fromJson", "json_parse"], "`json_decode(text)`"),
    (&["yamlencode", "toYaml", "yaml_encode"], "`yaml(value)`"),
    (&["yamldecode", "fromYaml"], "`yaml_decode(text)`"),
    (&["tomlencode", "toToml", "toml_encode"], "`toml(map)`"),
    (&["csvdecode"], "`csv_decode(text)`"),
    (&["base64encode", "b64encode", "base64_encode"], "`base64(text)`"),
    (&["base64decode", "b64decode"], "`base64_decode(text)`"),
    (&["urlencode_component", "url_encode", "encodeURIComponent"], "`urlencode(text)`"),
    (&["filebase64"], "`file_base64(path)`"),
    (&["filesha256"], "`file_sha256(path)`"),
    (&["base64sha256"], "`sha256_base64(text)`"),
    (&["hmac"], "`hmac_sha256(key, text)`"),
    (&["glob", "fileset"], "`files(folder, \"**/*.sql\")`"),
    (&["fileexists"], "`file_exists(path)`"),
    (&["templatefile"], "`template(path, values)`"),
    (&["read_file", "readfile", "open"], "`file(path)`"),
    (&["basename"], "`base_name(path)`"),
    (&["dirname"], "`dir_name(path)`"),
    (&["length", "size", "count"], "`list.len()`"),
    (&["lower", "lowercase", "toLowerCase"], "`text.to_lower()`"),
    (&["upper", "uppercase", "toUpperCase"], "`text.to_upper()`"),
    (&["substr", "substring"], "`text.sub_string(start, length)`"),
    (&["startswith", "hasPrefix"], "`text.starts_with(part)`"),
    (&["endswith", "hasSuffix"], "`text.ends_with(part)`"),
    (&["strcontains", "includes"], "`text.contains(part)`"),
    (&["trimspace", "strip"], "`text.trim()`"),
    (&["trimprefix"], "`trim_prefix(text, prefix)`"),
    (&["trimsuffix"], "`trim_suffix(text, suffix)`"),
    (&["strrev"], "`join(reversed(text.split(\"\")), \"\")`"),
    (&["regexall"], "`regex_find_all(text, pattern)`"),
    (&["tostring", "str"], "`value.to_string()`"),
    (&["tonumber"], "`parse_int(text)` or `parse_float(text)`"),
    (&["tobool"], "`parse_bool(text)`"),
    (&["distinct"], "`unique(list)`"),
    (&["concat", "append_all"], "`a + b`"),
    (&["lookup"], "`map.get(key) ?? other`"),
    (&["formatlist"], "`list.map(|item| format(\"%s\", [item]))`"),
    (&["matchkeys"], "`list.filter(|item| wanted.contains(item.key))`"),
    (&["nonsensitive"], "what is secret stays so: declare the parameter without `secret`"),
    (&["sensitive"], "`secret(value)`"),
    (&["try", "can"], "`map.get(key) ?? other` or `get_path(map, path, other)`"),
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
        &["rand", "random", "uuid", "uuid4"],
        "nothing is random, so that a plan stays the same: `local::random(\"name\").result` is \
         made once and kept",
    ),
    (&["getenv", "get_env", "environ"], "a parameter: `DOLLOP_PARAM_name` sets it"),
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
