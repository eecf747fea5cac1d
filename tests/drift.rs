//! What is told of changes outside dollop, and what makes a machine look for them. No service
//! is needed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use dollop_tests::cli::Project;
use serde_json::Value as Json;

const SCRIPT: &str =
    "local::file(\"page\", #{ path: \"page.txt\", content: \"as declared\" });\n";

fn project(name: &str) -> Project {
    let project = Project::new(name, SCRIPT);
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    project
}

/// Takes one request and answers it; its path and its body.
///
/// # Panics
/// None comes: a test that waits for ever says nothing.
fn taken(listener: &TcpListener, answer: &str) -> (String, Json) {
    listener.set_nonblocking(true).expect("a listener");
    let end = Instant::now() + Duration::from_mins(1);
    let mut stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(error) => assert!(Instant::now() < end, "no request: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    stream.set_nonblocking(false).expect("a stream");
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a stream");
    let mut reader = BufReader::new(stream.try_clone().expect("the stream"));
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).expect("a line");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').expect("a header");
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).expect("it reads");
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    (path, serde_json::from_slice(&body).expect("JSON"))
}

#[test]
fn what_was_changed_outside_is_told_once() {
    let project = project("dt-drift");
    shows!(project.run(&["drift"]).text(), @"
    exit 0
    --- stdout
    stack `dt-drift` is as it was made
    ");
    project.write("page.txt", "by hand");
    shows!(project.run(&["drift", "--then", "cat > told.json"]).text(), @"
    exit 2
    --- stdout
    1 resource of stack `dt-drift` changed outside dollop
      local::file.page: content
    `dollop plan` shows what an apply would do about it
    ");
    let told: Json = serde_json::from_str(&project.read("told.json")).expect("JSON");
    assert_eq!(told["drift"], true);
    assert_eq!(told["resources"][0]["address"], "local::file.page");
    let found = project.run(&["drift", "--format", "json"]).expect(2);
    let found: Json = serde_json::from_str(&found.stdout).expect("JSON");
    assert_eq!(found["resources"], told["resources"]);
    // A look changes nothing, and a hook that fails is no secret.
    assert_eq!(project.read("page.txt"), "by hand");
    let failed = project.run(&["drift", "--then", "exit 3"]).expect(2);
    assert!(failed.stderr.contains("`--then` failed: it ended with"), "{}", failed.text());
    // What is edited and not applied hides nothing, and is no change.
    project.write("stack.rhai", &SCRIPT.replace("as declared", "by hand"));
    drop(project.run(&["drift"]).expect(2));
    project.write("stack.rhai", "");
    drop(project.run(&["drift"]).expect(2));
    project.write("stack.rhai", "let x = ;");
    drop(project.run(&["drift"]).expect(2));
    project.write("page.txt", "as declared");
    drop(project.run(&["drift"]).expect(0));
    std::fs::remove_file(project.folder().join("page.txt")).expect("it is there");
    let gone = project.run(&["drift"]).expect(2);
    assert!(gone.stdout.contains("local::file.page: gone"), "{}", gone.text());
}

#[test]
fn what_others_may_change_is_no_drift() {
    let script = SCRIPT.replace("declared\" }", "declared\", ignore_changes: \"content\" }");
    let project = Project::new("dt-drift-ignored", &script);
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    project.write("page.txt", "by hand");
    drop(project.run(&["drift"]).expect(0));
    // As it was recorded, whatever the script says by now.
    project.write("stack.rhai", SCRIPT);
    drop(project.run(&["drift"]).expect(0));
    std::fs::remove_file(project.folder().join("page.txt")).expect("it is there");
    drop(project.run(&["drift"]).expect(2));
}

#[test]
fn that_nothing_can_be_seen_is_told_too() {
    let project = Project::new("dt-drift-blind", SCRIPT);
    let blind = project.run(&["drift", "--then", "cat > told.json"]).expect(1);
    assert!(blind.stderr.contains("nothing of stack `dt-drift-blind` is applied"));
    let told: Json = serde_json::from_str(&project.read("told.json")).expect("JSON");
    assert_eq!(told["drift"], false);
    assert_eq!(told["error"], "nothing of stack `dt-drift-blind` is applied");
    // An address that is none is said before anything is looked at, and not shown.
    let wrong = project.run(&["drift", "--webhook", "chat.example.org/secret"]).expect(64);
    assert!(wrong.stderr.contains("the webhook is no address of HTTP"), "{}", wrong.text());
    assert!(!wrong.text().contains("secret"), "{}", wrong.text());
    let empty = Project::new("dt-drift-blind", SCRIPT).env("DOLLOP_DRIFT_WEBHOOK", "");
    drop(empty.run(&["drift"]).expect(1));
}

#[test]
fn who_watches_tells_what_comes_and_goes() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let hook = format!("http://{}/a-secret-path", listener.local_addr().expect("an address"));
    let project = project("dt-drift-watch").env("DOLLOP_DRIFT_WEBHOOK", &hook);
    let mut watch =
        project.start(&["drift", "--watch", "--every", "1s", "--then", "cat >> told.txt"]);
    let mut lines = watch.prints();
    lines.until("stack `dt-drift-watch` is as it was made");
    project.write("page.txt", "by hand");
    lines.until("local::file.page: content");
    // Who does not take it is asked again.
    drop(taken(&listener, "503 Service Unavailable"));
    let (path, told) = taken(&listener, "200 OK");
    assert_eq!((path.as_str(), &told["drift"]), ("/a-secret-path", &true.into()));
    // Who took it is not.
    assert_eq!(project.read("told.txt").lines().count(), 1);
    let text = told["text"].as_str().expect("a text");
    assert!(text.starts_with("1 resource of stack `dt-drift-watch` changed outside"), "{text}");
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    lines.until("stack `dt-drift-watch` is as it was made");
    assert_eq!(taken(&listener, "204 No Content").1["drift"], false);
    watch.interrupt();
    let ended = watch.end().expect(0);
    assert!(ended.stderr.contains("the webhook at `127.0.0.1` answers with status 503"));
    assert!(!ended.text().contains("a-secret-path"), "{}", ended.text());
}

#[test]
fn what_runs_by_the_clock_is_written_for_it() {
    let project = Project::new("dt-timer", SCRIPT);
    let cron = ["timer", "--cron", "0 3 * * *", "--", "backup", "--keep", "7"];
    let line = project.run(&cron).expect(0).stdout;
    assert!(line.starts_with("# dollop backup of the stack dt-timer\n0 3 * * * cd "), "{line}");
    assert!(line.ends_with("dollop backup --keep 7\n"), "{line}");
    // What decides which stack is meant is as it is now.
    let there = Project::new("dt-timer", SCRIPT)
        .env("DOLLOP_ENV", "prod")
        .env("DOLLOP_PROFILES", "a,b c")
        .env("DOLLOP_DORMANT", "keep");
    let line = there.run(&cron).expect(0).stdout;
    let env = " && DOLLOP_ENV=prod DOLLOP_PROFILES='a,b c' DOLLOP_DORMANT=keep ";
    assert!(line.contains(env), "{line}");
    let units = there.run(&["timer", "--", "drift"]).expect(0).stdout;
    for part in [
        "# /etc/systemd/system/dollop-drift-dt-timer_prod.timer\n",
        "Environment=\"DOLLOP_ENV=prod\"\n",
        "Environment=\"DOLLOP_PROFILES=a,b c\"\n",
        "Environment=\"DOLLOP_DORMANT=keep\"\n",
        "SuccessExitStatus=2\n",
        "\nUser=",
    ] {
        assert!(units.contains(part), "no {part} in {units}");
    }
    for (command, unit) in [
        (&["run", "one"][..], "dollop-run-one-dt-timer.timer"),
        (&["backup", "verify"][..], "dollop-backup-verify-dt-timer.timer"),
    ] {
        let units = project.run(&[&["timer", "--"], command].concat()).expect(0).stdout;
        assert!(units.contains(unit), "{units}");
    }
    let units = project.run(&["timer", "--", "drift", "--env", "prod"]).expect(0).stdout;
    for part in [
        "# /etc/systemd/system/dollop-drift-dt-timer_prod.timer\n",
        "OnCalendar=daily\n",
        "dollop\" drift --env prod\n",
    ] {
        assert!(units.contains(part), "no {part} in {units}");
    }
    for (command, why) in [
        (&["psql"][..], "this command is for somebody in front of it"),
        (&["apply"][..], "add `--auto-approve`"),
        (&["drift", "--watch"][..], "`drift --watch` never ends"),
        (&["drift", "--webhook", "https://h/x"][..], "a file that everybody may read"),
        (&["plan", "--param", "a=b"][..], "a file that everybody may read"),
        (&["backup", "list"][..], "this command is for somebody in front of it"),
        (&["run", "a\nb"][..], "is not one line of UTF-8 text"),
        (&["backpu"][..], "after `--` stands no command of dollop"),
        (&["timer", "--", "backup"][..], "this command is for somebody in front of it"),
    ] {
        let refused = project.run(&[&["timer", "--"], command].concat()).expect(64);
        assert!(refused.stderr.contains(why), "{}", refused.text());
    }
}
