//! What is stored in volumes: lost only with consent, copied when asked.

use std::time::Duration;

use dollop_tests::cli::{Project, Run};

use super::support::docker;
use crate::crash::POINTS;
use crate::live::quickstart::Stack;

/// The words of an answer, whatever lines they are on.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn apply(stack: &Stack, more: &[&str]) -> Run {
    let mut arguments = vec!["apply", "--auto-approve"];
    arguments.extend_from_slice(more);
    stack.project.run(&arguments)
}

const HELD: &str = r#"
    let data = docker::volume("data", #{ labels: #{ tier: "TIER" } });
    let empty = docker::volume("empty");
    let memory = docker::volume("memory", #{ options: #{ type: "tmpfs", device: "tmpfs" } });
    docker::container("app", #{ image: "busybox:1.35", command: "sleep 600",
        stop_signal: "SIGKILL",
        volumes: [`${data}:/data`, `${empty}:/empty`, `${memory}:/memory`] });
"#;

#[test]
fn a_volume_with_data_goes_only_with_consent() {
    let name = "dollop-test-held";
    let stack = Stack::of(Project::new(name, HELD), name);
    stack.apply();
    let app = stack.container("app");
    docker(&["exec", &app, "sh", "-c", "mkdir /data/a; head -c 3000 /dev/zero > /data/a/b"]);
    docker(&["exec", &app, "sh", "-c", "mkdir /empty/a; touch /empty/a/b; echo x > /memory/x"]);
    let volumes = || stack.labelled("volume").len();

    // Made anew, removed from the script, destroyed: each says what is in it.
    let plan = stack.project.run(&["plan", "--destroy"]).expect(0);
    assert!(flat(&plan.stdout).contains("holds 2.9k of data"), "{}", plan.stdout);
    assert!(!plan.stdout.contains("docker::volume.empty  [DATA LOSS]"), "{}", plan.stdout);
    stack.project.write("stack.rhai", &HELD.replace("TIER", "2"));
    let plan = stack.project.run(&["plan"]).expect(0);
    assert!(flat(&plan.stdout).contains("migrate: \"copy\""), "{}", plan.stdout);
    let refused = apply(&stack, &[]).expect(1);
    let says = "this apply would lose 2.9k of data in `docker::volume.data`";
    assert!(flat(&refused.stderr).contains(says), "{}", refused.stderr);
    stack.project.write("stack.rhai", "");
    let refused = apply(&stack, &[]).expect(1);
    assert!(flat(&refused.stderr).contains(says), "{}", refused.stderr);
    let refused = stack.project.run(&["destroy", "--auto-approve"]).expect(1);
    assert!(refused.stderr.contains("E0517"), "{}", refused.stderr);
    let hint = "--allow-data-loss docker::volume.data";
    assert!(flat(&refused.stderr).contains(hint), "{}", refused.stderr);
    assert_eq!(volumes(), 3);
    assert_eq!(docker(&["exec", &app, "sh", "-c", "wc -c < /data/a/b"]), "3000");

    // In a terminal, its address is asked for.
    let run = stack.project.run_in_terminal(&["destroy"], "yes\nyes");
    assert_eq!(run.code, Some(1), "{}", run.text());
    assert_eq!(volumes(), 3);

    // Nobody has it any more, so that only the removal itself finds out.
    docker(&["rm", "--force", &app]);
    let refused = stack.project.run(&["destroy", "--auto-approve"]).expect(1);
    let says = "it holds 2.9k of data, which nobody agreed to lose";
    assert!(flat(&refused.stderr).contains(says), "{}", refused.stderr);
    assert_eq!(volumes(), 1, "the empty ones went");
    let consent = ["--allow-data-loss", "docker::volume.data"];
    drop(stack.project.run(&["destroy", "--auto-approve", consent[0], consent[1]]).expect(0));
    assert_eq!(volumes(), 0);
    // Other tests have helpers of their own; theirs look into other volumes.
    let volume = format!("volume={name}-data");
    let helpers = ["ps", "--all", "--quiet", "--filter", &volume];
    assert_eq!(docker(&helpers), "", "no helper is left");
}

#[test]
fn a_volume_without_a_name_is_lost_only_with_consent_when_its_container_is_replaced() {
    let name = "dollop-test-anonymous";
    let script = |version: &str| {
        format!(
            r#"docker::container("app", #{{ image: "busybox:1.35", command: "sleep 600",
                stop_signal: "SIGKILL", volumes: ["/data"], env: #{{ VERSION: "{version}" }} }});"#
        )
    };
    let stack = Stack::of(Project::new(name, &script("1")), name);
    stack.apply();
    // Empty, it is nobody's loss.
    stack.project.write("stack.rhai", &script("2"));
    stack.apply();
    docker(&["exec", &stack.container("app"), "sh", "-c", "echo rows > /data/table"]);
    stack.project.write("stack.rhai", &script("3"));
    let plan = stack.project.run(&["plan"]).expect(0);
    assert!(plan.stdout.contains("DATA LOSS"), "{}", plan.stdout);
    let refused = apply(&stack, &[]).expect(1);
    let says = "would lose 5 bytes of data in its volume `/data`, which has no name";
    assert!(flat(&refused.stderr).contains(says), "{}", refused.stderr);
    assert_eq!(docker(&["exec", &stack.container("app"), "cat", "/data/table"]), "rows");
    drop(apply(&stack, &["--allow-data-loss", "docker::container.app"]).expect(0));
    stack.expect_no_changes();
    drop(stack.project.run(&["destroy", "--auto-approve"]).expect(0));
}

fn copied(labels: &str, more: &str) -> String {
    format!(
        r#"let data = docker::volume("data", #{{ labels: #{{ tier: "{labels}" }}, {more} }});
docker::container("app", #{{ image: "busybox:1.35", command: "sleep 600",
    stop_signal: "SIGKILL", volumes: [`${{data}}:/data`] }});
"#
    )
}

/// Everything about the files of a volume that can be told apart.
fn fingerprint(container: &str) -> String {
    let look = "cd /data && stat -c '%n %a %u %g %s %F' . && \
                find . -mindepth 1 | sort | xargs stat -c '%n %a %u %g %h %s %Y %F %N' && \
                find . -type f | sort | xargs md5sum";
    docker(&["exec", container, "sh", "-c", look])
}

/// Files of every sort, owners and permissions that are not the usual ones.
fn fill(container: &str) {
    let make = "cd /data && mkdir -p a/b && head -c 9000000 /dev/urandom > a/big && \
                echo text > a/b/text && chmod 640 a/b/text && chown 70:71 a/b/text && \
                ln a/b/text linked && ln -s a/b/text symbolic && mkfifo fifo && touch empty && \
                touch -d '2020-01-02 03:04:05' empty && chmod 4755 empty && \
                chmod 700 . && chown 999:998 .";
    docker(&["exec", container, "sh", "-c", make]);
}

#[test]
fn a_volume_made_anew_is_copied_to_the_last_byte() {
    let name = "dollop-test-copied";
    let stack = Stack::of(Project::new(name, &copied("1", "")), name);
    stack.apply();
    let app = stack.container("app");
    fill(&app);
    let before = fingerprint(&app);
    stack.project.write("stack.rhai", &copied("2", "migrate: \"copy\""));
    let plan = stack.project.run(&["plan"]).expect(0);
    let says = "what it holds is copied while nothing uses it";
    assert!(flat(&plan.stdout).contains(says), "{}", plan.stdout);
    assert!(!plan.stdout.contains("DATA LOSS"), "{}", plan.stdout);
    stack.apply();
    assert_eq!(fingerprint(&app), before);
    let label = "{{index .Labels \"tier\"}}";
    let volume = format!("{name}-data");
    assert_eq!(docker(&["volume", "inspect", "--format", label, &volume]), "2");
    assert_eq!(stack.labelled("volume").len(), 1, "nothing is left over");
    stack.expect_no_changes();

    // One that cannot be mounted does not take the place of one that works.
    let broken = copied(
        "3",
        "migrate: \"copy\", options: #{ type: \"none\", o: \"bind\", \
                              device: \"/no/such/folder\" }",
    );
    stack.project.write("stack.rhai", &broken);
    let run = apply(&stack, &[]).expect(1);
    assert!(run.stderr.contains("cannot be made as declared"), "{}", run.stderr);
    stack.project.write("stack.rhai", &copied("2", "migrate: \"copy\""));
    stack.apply();
    assert_eq!(fingerprint(&app), before);
    // Somebody from outside the stack holds it.
    docker(&[
        "run",
        "--detach",
        "--name",
        &format!("{name}-guest"),
        "--label",
        &format!("dollop.stack={name}"),
        "--volume",
        &format!("{volume}:/d"),
        "busybox:1.35",
        "sleep",
        "600",
    ]);
    stack.project.write("stack.rhai", &copied("3", "migrate: \"copy\""));
    let run = apply(&stack, &[]).expect(1);
    assert!(run.stderr.contains(&format!("{name}-guest")), "{}", run.stderr);
    docker(&["rm", "--force", &format!("{name}-guest")]);
    stack.apply();
    assert_eq!(fingerprint(&app), before);
    drop(stack.project.destroy(&[]).expect(0));
    assert_eq!(stack.labelled("volume").len(), 0);
}

#[test]
fn a_copy_killed_anywhere_loses_nothing() {
    let name = "dollop-test-copy-killed";
    let stack = Stack::of(Project::new(name, &copied("0", "migrate: \"copy\"")), name);
    stack.apply();
    let app = stack.container("app");
    fill(&app);
    let before = fingerprint(&app);
    let mut tier = 0;
    let mut change = || {
        tier += 1;
        let script = copied(&tier.to_string(), "migrate: \"copy\"");
        stack.project.write("stack.rhai", &script);
    };
    let finished = |what: &str| {
        stack.apply();
        assert_eq!(fingerprint(&app), before, "{what}");
        assert_eq!(stack.labelled("volume").len(), 1, "{what}: nothing is left over");
        stack.expect_no_changes();
    };
    for step in ["Delete docker::container.app", "Update docker::volume.data"] {
        for point in POINTS {
            change();
            let fault = format!("{point}@{step}");
            let run = stack.project.run_until(&fault, &["apply", "--auto-approve"]);
            assert_eq!(run.code, None, "{fault} was not reached\n{}", run.text());
            finished(&fault);
        }
    }
    // In the middle of the copying itself, wherever that is; the script may be another by the
    // time of the next apply.
    for (index, late) in [400, 700, 1000, 1300, 1600, 2000, 2500, 3000].into_iter().enumerate()
    {
        change();
        let mut running = stack.project.start(&["apply", "--auto-approve"]);
        std::thread::sleep(Duration::from_millis(late));
        drop(running.child().kill());
        drop(running.end());
        if index % 2 == 1 {
            change();
        }
        finished(&format!("killed after {late} ms"));
    }
    drop(stack.project.destroy(&[]).expect(0));
    assert_eq!(stack.labelled("volume").len(), 0);
}

#[test]
fn a_copy_that_did_not_come_back_is_all_there_is_for_every_script_that_follows() {
    let name = "dollop-test-copy-astray";
    let copy = "migrate: \"copy\"";
    let stack = Stack::of(Project::new(name, &copied("1", copy)), name);
    stack.apply();
    let app = stack.container("app");
    fill(&app);
    let before = fingerprint(&app);
    // Memory forgets whenever nothing has it mounted, so that nothing can be copied into it.
    let memory = format!("{copy}, options: #{{ type: \"tmpfs\", device: \"tmpfs\" }}");
    let fails = |tier: &str| {
        stack.project.write("stack.rhai", &copied(tier, &memory));
        let run = apply(&stack, &[]).expect(1);
        let says = format!("is safe in volume `{name}-data.dollop-copy`");
        assert!(flat(&run.stderr).contains(&says), "{}", run.stderr);
    };
    fails("2");
    fails("2");
    fails("3");
    // Nor does it go with a volume that is made anew without it and looks empty.
    stack.project.write("stack.rhai", &copied("4", ""));
    let refused = apply(&stack, &[]).expect(1);
    assert!(refused.stderr.contains("docker::volume.data"), "{}", refused.stderr);
    stack.project.write("stack.rhai", &copied("5", copy));
    stack.apply();
    assert_eq!(fingerprint(&app), before);
    assert_eq!(stack.labelled("volume").len(), 1, "nothing is left over");
    stack.expect_no_changes();
    // A first copy that was cut off does not come back over what it was made from.
    let (volume, half) = (format!("{name}-data"), format!("{name}-data.dollop-copy"));
    let marks = [format!("dollop.stack={name}"), "dollop.vouched=by another volume".to_owned()];
    let made = ["volume", "create", "--label", &marks[0], "--label", &marks[1], &half];
    docker(&made);
    let cut = "cp -a /from/a/b /to/a/; head -c 1000 /from/a/big > /to/a/big";
    let cut = format!("mkdir /to/a; {cut}");
    let (from, to) = (format!("{volume}:/from"), format!("{half}:/to"));
    docker(&["run", "--rm", "-v", &from, "-v", &to, "busybox:1.35", "sh", "-c", &cut]);
    stack.project.write("stack.rhai", &copied("6", copy));
    stack.apply();
    assert_eq!(fingerprint(&app), before);
    // A copy that a run left which died before the volume itself went is no better than that,
    // once somebody has written to it.
    let format = "{{.CreatedAt}}";
    let made = docker(&["volume", "inspect", "--format", format, &volume]);
    let voucher = format!("{name}-data.dollop-copied");
    let copied_one = format!("dollop.copied={made}");
    docker(&["volume", "create", "--label", &marks[0], "--label", &marks[1], &half]);
    docker(&["volume", "create", "--label", &marks[0], "--label", &copied_one, &voucher]);
    stack.project.write("stack.rhai", &copied("7", copy));
    let refused = apply(&stack, &[]).expect(1);
    let says = flat(&refused.stderr);
    assert!(says.contains("is still there, with other files by now"), "{says}");
    assert!(says.contains(&format!("`docker volume rm {voucher}`")), "{says}");
    docker(&["volume", "rm", &voucher]);
    stack.apply();
    assert_eq!(fingerprint(&app), before);
    drop(stack.project.destroy(&[]).expect(0));
    assert_eq!(stack.labelled("volume").len(), 0);
}
