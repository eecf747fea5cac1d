//! Functions that Rhai itself has, of numbers, lists, maps and functions: documented and tested
//! here with the others. A test finds those that are missing.

use super::Entry;
use super::builtin::entry;

/// Numbers.
pub(super) const NUMBERS: &[Entry] = &[
    entry("abs(number: number) -> number", "The number without its sign.", &[("abs(-3)", "3")]),
    entry(
        "sign(number: number) -> int",
        "-1, 0 or 1: whether the number is below, at or above zero.",
        &[("sign(-2.5)", "-1")],
    ),
    entry("is_zero(number: number) -> bool", "Whether it is 0.", &[("is_zero(0)", "true")]),
    entry("is_even(number: int) -> bool", "Whether it is even.", &[("is_even(3)", "false")]),
    entry("is_odd(number: int) -> bool", "Whether it is odd.", &[("is_odd(3)", "true")]),
    entry(
        "round(number: number) -> number",
        "The nearest whole number, still with a fraction of 0; `to_int` takes that away.",
        &[("round(2.5)", "3.0"), ("round(2.4).to_int()", "2")],
    ),
    entry(
        "floor(number: number) -> number",
        "The whole number below, still with a fraction of 0.",
        &[("floor(2.9)", "2.0")],
    ),
    entry(
        "ceiling(number: number) -> number",
        "The whole number above, still with a fraction of 0.",
        &[("ceiling(2.1)", "3.0")],
    ),
    entry(
        "int(number: number) -> number",
        "What stands before the point, still with a fraction of 0.",
        &[("int(-2.9)", "-2.0")],
    ),
    entry(
        "fraction(number: number) -> number",
        "What stands behind the point.",
        &[("fraction(2.5)", "0.5")],
    ),
    entry(
        "to_int(number: number) -> int",
        "The number without what stands behind the point.",
        &[("to_int(2.9)", "2")],
    ),
    entry(
        "to_float(number: int) -> number",
        "The number with a fraction of 0, so that dividing it keeps what is left over.",
        &[("to_float(3) / 2", "1.5")],
    ),
    entry(
        "to_hex(number: int) -> string",
        "The number in hexadecimal.",
        &[("to_hex(255)", r#""ff""#)],
    ),
    entry(
        "to_octal(number: int) -> string",
        "The number in octal, as file modes are written.",
        &[("to_octal(420)", r#""644""#)],
    ),
    entry(
        "to_binary(number: int) -> string",
        "The number in binary.",
        &[("to_binary(5)", r#""101""#)],
    ),
    entry("sqrt(number: number) -> number", "The square root.", &[("sqrt(9.0)", "3.0")]),
    entry("exp(number: number) -> number", "e to that power.", &[("exp(0.0)", "1.0")]),
    entry("ln(number: number) -> number", "The natural logarithm.", &[("ln(1.0)", "0.0")]),
    entry(
        "log(number: number, base?: number) -> number",
        "The logarithm, to base 10 unless another is given.",
        &[("log(100.0)", "2.0"), ("log(8.0, 2.0)", "3.0")],
    ),
    entry(
        "hypot(a: number, b: number) -> number",
        "The longest side of a right-angled triangle.",
        &[("hypot(3.0, 4.0)", "5.0")],
    ),
    entry("sin(angle: number) -> number", "The sine of radians.", &[("sin(0.0)", "0.0")]),
    entry("cos(angle: number) -> number", "The cosine of radians.", &[("cos(0.0)", "1.0")]),
    entry("tan(angle: number) -> number", "The tangent of radians.", &[("tan(0.0)", "0.0")]),
    entry("asin(number: number) -> number", "Sine, backwards.", &[("asin(0.0)", "0.0")]),
    entry("acos(number: number) -> number", "Cosine, backwards.", &[("acos(1.0)", "0.0")]),
    entry(
        "atan(number: number, other?: number) -> number",
        "Tangent, backwards; of two numbers, the angle of the point.",
        &[("atan(0.0)", "0.0"), ("atan(0.0, 1.0)", "0.0")],
    ),
    entry("sinh(number: number) -> number", "Hyperbolic sine.", &[("sinh(0.0)", "0.0")]),
    entry("cosh(number: number) -> number", "Hyperbolic cosine.", &[("cosh(0.0)", "1.0")]),
    entry("tanh(number: number) -> number", "Hyperbolic tangent.", &[("tanh(0.0)", "0.0")]),
    entry("asinh(number: number) -> number", "Its reverse.", &[("asinh(0.0)", "0.0")]),
    entry("acosh(number: number) -> number", "Its reverse.", &[("acosh(1.0)", "0.0")]),
    entry("atanh(number: number) -> number", "Its reverse.", &[("atanh(0.0)", "0.0")]),
    entry(
        "to_radians(degrees: number) -> number",
        "Degrees as radians.",
        &[("to_radians(0.0)", "0.0")],
    ),
    entry(
        "to_degrees(radians: number) -> number",
        "Radians as degrees.",
        &[("to_degrees(0.0)", "0.0")],
    ),
    entry("PI() -> number", "The number π.", &[("PI() > 3.14", "true")]),
    entry("E() -> number", "The number e.", &[("E() > 2.71", "true")]),
    entry(
        "is_nan(number: number) -> bool",
        "Whether it is no number, as what 0.0 divided by itself gives.",
        &[("is_nan(0.0 / 0.0)", "true")],
    ),
    entry(
        "is_finite(number: number) -> bool",
        "Whether it is a number that can be written.",
        &[("is_finite(1.0)", "true")],
    ),
    entry(
        "is_infinite(number: number) -> bool",
        "Whether it is larger than any number.",
        &[("is_infinite(1.0 / 0.0)", "true")],
    ),
    entry(
        "bits(number: int, from?: int, count?: int) -> any",
        "The bits of a number, lowest first, to be looped over.",
        &[(
            "{ let l = []; for bit in bits(5, 0, 3) { l.push(bit) } l }",
            "[true, false, true]",
        )],
    ),
];

/// Lists.
pub(super) const LISTS: &[Entry] = &[
    entry(
        "for_each(list: list, by: fn) -> ()",
        "Calls a closure with each item, and its number when it takes two values. The item is also `this`, by which it may be changed.",
        &[
            ("{ let l = []; [1, 2].for_each(|item| l.push(item * 2)); l }", "[2, 4]"),
            ("{ let l = [1, 2]; l.for_each(|| this *= 2); l }", "[2, 4]"),
        ],
    ),
    entry(
        "find(list: list, by: fn) -> any",
        "The first item for which a closure gives true, or nothing.",
        &[("[1, 2, 3].find(|x| x > 1)", "2")],
    ),
    entry(
        "find_map(list: list, by: fn) -> any",
        "What a closure gives first that is not nothing.",
        &[("[1, 2].find_map(|x| if x > 1 { x * 10 })", "20")],
    ),
    entry(
        "reduce_rev(list: list, by: fn, start: any) -> any",
        "As `reduce`, from the last item to the first.",
        &[(r#"["a", "b"].reduce_rev(|all, x| all + x, "")"#, r#""ba""#)],
    ),
    entry(
        "zip(list: list, other: list, by: fn) -> list",
        "What a closure gives for the items at the same place of two lists.",
        &[("[1, 2].zip([10, 20], |a, b| a + b)", "[11, 22]")],
    ),
    entry(
        "order(list: list, by?: fn) -> list",
        "The items in order; a closure that takes two says by a number below, at or above 0 how they stand.",
        &[("[3, 1, 2].order()", "[1, 2, 3]"), ("[1, 2].order(|a, b| b - a)", "[2, 1]")],
    ),
    entry(
        "order_by(list: list, by: fn) -> list",
        "The same, with a closure.",
        &[("[1, 2].order_by(|a, b| b - a)", "[2, 1]")],
    ),
    entry(
        "order_desc(list: list) -> list",
        "The items in order, the largest first.",
        &[("[1, 3, 2].order_desc()", "[3, 2, 1]")],
    ),
    entry(
        "sort(list: list, by?: fn) -> ()",
        "Puts a variable's list in order, as `order` does.",
        &[("{ let l = [2, 1]; l.sort(); l }", "[1, 2]")],
    ),
    entry(
        "sort_by(list: list, by: fn) -> ()",
        "The same, with a closure.",
        &[("{ let l = [1, 2]; l.sort_by(|a, b| b - a); l }", "[2, 1]")],
    ),
    entry(
        "sort_desc(list: list) -> ()",
        "Puts a variable's list in order, the largest first.",
        &[("{ let l = [1, 2]; l.sort_desc(); l }", "[2, 1]")],
    ),
    entry(
        "reverse(list: list) -> ()",
        "Turns a variable's list round; `reversed` gives another one.",
        &[("{ let l = [1, 2]; l.reverse(); l }", "[2, 1]")],
    ),
    entry(
        "dedup(list: list) -> ()",
        "Takes items out of a variable's list that are the same as the one before; `unique` looks at all of them.",
        &[("{ let l = [1, 1, 2]; l.dedup(); l }", "[1, 2]")],
    ),
    entry(
        "append(list: list, more: list) -> ()",
        "Adds the items of another list to a variable's; `a + b` gives another list.",
        &[("{ let l = [1]; l.append([2, 3]); l }", "[1, 2, 3]")],
    ),
    entry(
        "insert(list: list, place: int, item: any) -> ()",
        "Puts an item into a variable's list; a place below 0 counts from the end.",
        &[("{ let l = [1, 3]; l.insert(1, 2); l }", "[1, 2, 3]")],
    ),
    entry(
        "set(list: list, place: int, item: any) -> ()",
        "Puts another item at a place of a variable's list; of a map, another value under a key.",
        &[("{ let l = [1, 2]; l.set(0, 9); l }", "[9, 2]")],
    ),
    entry(
        "pop(list: list) -> any",
        "Takes the last item out of a variable's list.",
        &[("{ let l = [1, 2]; [l.pop(), l] }", "[2, [1]]")],
    ),
    entry(
        "shift(list: list) -> any",
        "Takes the first item out of a variable's list.",
        &[("{ let l = [1, 2]; [l.shift(), l] }", "[1, [2]]")],
    ),
    entry(
        "remove(list: list, place: int) -> any",
        "Takes an item out of a variable's list; of a map, the entry of a key.",
        &[("{ let l = [1, 2]; [l.remove(0), l] }", "[1, [2]]")],
    ),
    entry(
        "extract(list: list, start: int, length?: int) -> list",
        "A part of the list; also `extract(0..2)`.",
        &[("[1, 2, 3].extract(1, 2)", "[2, 3]"), ("[1, 2, 3].extract(0..2)", "[1, 2]")],
    ),
    entry(
        "splice(list: list, start: int, length: int, by: list) -> ()",
        "Puts other items in the place of a part of a variable's list.",
        &[("{ let l = [1, 2, 3]; l.splice(0, 2, [9]); l }", "[9, 3]")],
    ),
    entry(
        "drain(list: list, by: fn) -> list",
        "Takes the items out of a variable's list, or the entries out of a map, for which a closure gives true, and gives them.",
        &[("{ let l = [1, 2]; [l.drain(|x| x > 1), l] }", "[[2], [1]]")],
    ),
    entry(
        "retain(list: list, by: fn) -> list",
        "Leaves the items in a variable's list, or the entries in a map, for which a closure gives true, and gives the others.",
        &[("{ let l = [1, 2]; [l.retain(|x| x > 1), l] }", "[[1], [2]]")],
    ),
    entry(
        "truncate(list: list, length: int) -> ()",
        "Leaves so many items at the beginning of a variable's list.",
        &[("{ let l = [1, 2, 3]; l.truncate(1); l }", "[1]")],
    ),
    entry(
        "chop(list: list, length: int) -> ()",
        "Leaves so many items at the end of a variable's list.",
        &[("{ let l = [1, 2, 3]; l.chop(1); l }", "[3]")],
    ),
    entry(
        "pad(list: list, length: int, item: any) -> ()",
        "Fills a variable's list up with an item.",
        &[("{ let l = [1]; l.pad(3, 0); l }", "[1, 0, 0]")],
    ),
    entry(
        "clear(list: list) -> ()",
        "Empties a variable's list or map.",
        &[("{ let l = [1]; l.clear(); l }", "[]")],
    ),
    entry(
        "range(from: int, to: int, step?: int) -> any",
        "Numbers to be looped over: `for i in range(0, 10, 2)`; `sequence` gives a list.",
        &[("{ let l = []; for i in range(0, 5, 2) { l.push(i) } l }", "[0, 2, 4]")],
    ),
    entry("start(range: any) -> int", "Where a range begins.", &[("(1..4).start()", "1")]),
    entry("end(range: any) -> int", "Where a range ends.", &[("(1..4).end()", "4")]),
    entry(
        "is_inclusive(range: any) -> bool",
        "Whether its end belongs to a range.",
        &[("{ let is = false; for i in 0..1 { is = (0..=3).is_inclusive() } is }", "true")],
    ),
    entry(
        "is_exclusive(range: any) -> bool",
        "Whether its end does not belong to a range.",
        &[("{ let is = false; for i in 0..1 { is = (0..3).is_exclusive() } is }", "true")],
    ),
];

/// Maps.
pub(super) const MAPS: &[Entry] = &[
    entry(
        "mixin(map: map, more: map) -> ()",
        "Sets the entries of another map in a variable's; `merge` gives another map.",
        &[("{ let m = #{ a: 1 }; m.mixin(#{ a: 2 }); m }", "#{ a: 2 }")],
    ),
    entry(
        "fill_with(map: map, more: map) -> ()",
        "Sets the entries of another map in a variable's that are not there yet.",
        &[("{ let m = #{ a: 1 }; m.fill_with(#{ a: 2, b: 3 }); m }", "#{ a: 1, b: 3 }")],
    ),
    entry(
        "to_json(map: map) -> string",
        "The map as JSON text; `json` takes every value, also ones that are not known yet.",
        &[("#{ a: 1 }.to_json()", r#""{\"a\":1}""#)],
    ),
    entry(
        "parse_json(text: string) -> any",
        "What a JSON text says, as `json_decode` does.",
        &[(r#"parse_json("{\"a\": 1}")"#, "#{ a: 1 }")],
    ),
];

/// Values, functions, and the run.
pub(super) const OTHERS: &[Entry] = &[
    entry(
        "type_of(value: any) -> string",
        "What a value is: `string`, `i64`, `f64`, `bool`, `array`, `map`, `()`, `Fn`, `resource`, or `reference` when it is not known yet or secret.",
        &[("type_of([])", r#""array""#)],
    ),
    entry(
        "call(function: fn, value: any) -> any",
        "What a closure gives, called with values.",
        &[("(|x| x + 1).call(2)", "3")],
    ),
    entry(
        "name(function: fn) -> string",
        "The name of a function.",
        &[(r#"Fn("abs").name()"#, r#""abs""#)],
    ),
    entry(
        "is_anonymous(function: fn) -> bool",
        "Whether it is a closure.",
        &[("(|x| x).is_anonymous()", "true")],
    ),
    entry(
        "take(value: any) -> any",
        "The value of a variable, which holds nothing from then on.",
        &[("{ let a = [1]; [take(a), a] }", "[[1], ()]")],
    ),
    entry(
        "tag(value: any) -> int",
        "A number a script can fasten to a value, 0 at first.",
        &[("tag(5)", "0")],
    ),
    entry(
        "set_tag(value: any, tag: int) -> ()",
        "Fastens a number to the value of a variable.",
        &[("{ let a = 5; a.set_tag(7); a.tag() }", "7")],
    ),
    entry("exit(value?: any) -> any", "Ends the script; what it has declared stands.", &[]),
];
