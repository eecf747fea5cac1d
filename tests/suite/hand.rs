//! What a case does by hand to the world and to the state.

use dollop_tests::fake::{Object, world};

pub(super) fn by_hand(stack: &str, line: &str) {
    let shared = world(stack);
    let mut world = shared.lock().unwrap();
    let words: Vec<&str> = line.splitn(5, ' ').collect();
    let key = |at: usize| (words[at].to_owned(), words[at + 1].to_owned());
    match words[0] {
        "remove" => {
            assert!(world.objects.remove(&key(1)).is_some(), "{line}: {:?}", world.objects);
        }
        "set" => {
            let known = format!("{:?}", world.objects.keys());
            let object = world.objects.get_mut(&key(1)).unwrap_or_else(|| panic!("{known}"));
            object.spec[words[3]] = serde_json::from_str(words[4]).unwrap();
        }
        "own" => words[3].clone_into(&mut world.objects.get_mut(&key(1)).expect(line).owner),
        "add" => {
            let spec = serde_json::from_str(&words[3..].join(" ")).unwrap();
            let object = Object { id: "by-hand".to_owned(), spec, owner: String::new() };
            world.objects.insert(key(1), object);
        }
        "fail" => {
            world.failing.insert(line["fail ".len()..].to_owned());
        }
        "half" => {
            let spec = serde_json::from_str(&words[2..].join(" ")).unwrap();
            world.half.insert(words[1].to_owned(), spec);
        }
        "slow" => {
            world.slow.insert(line["slow ".len()..].to_owned());
        }
        "impossible" => {
            world.impossible.insert(words[1].to_owned());
        }
        "sick" => {
            world.sick.insert(words[1].to_owned());
        }
        "heal" => {
            world.failing.clear();
            world.slow.clear();
            world.impossible.clear();
            world.sick.clear();
        }
        _ => panic!("unknown edit `{line}`"),
    }
}
