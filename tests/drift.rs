//! What is told of changes outside dollop, and what makes a machine look for them. No service
//! is needed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

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
fn taken(listener: &TcpListener, answer: &str) -> (String, Json) {
    let (mut stream, _) = listener.accept().expect("a request");
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
    let failed = project.run(&["drift", "--then", "exit 3"]).expect(1);
    assert!(failed.stderr.contains("`--then` failed"), "{}", failed.text());
    std::fs::remove_file(project.folder().join("page.txt")).expect("it is there");
    let gone = project.run(&["drift"]).expect(2);
    assert!(gone.stdout.contains("local::file.page: gone"), "{}", gone.text());
}

#[test]
fn who_watches_tells_what_comes_and_goes() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let hook = format!("http://{}/a-secret-path", listener.local_addr().expect("an address"));
    let project = project("dt-drift-watch").env("DOLLOP_DRIFT_WEBHOOK", &hook);
    let mut watch = project.start(&["drift", "--watch", "--every", "100ms"]);
    let mut lines = watch.prints();
    lines.until("stack `dt-drift-watch` is as it was made");
    project.write("page.txt", "by hand");
    lines.until("local::file.page: content");
    // Who does not take it is asked again.
    drop(taken(&listener, "503 Service Unavailable"));
    let (path, told) = taken(&listener, "200 OK");
    assert_eq!((path.as_str(), &told["drift"]), ("/a-secret-path", &true.into()));
    let text = told["text"].as_str().expect("a text");
    assert!(text.starts_with("1 resource of stack `dt-drift-watch` changed outside"), "{text}");
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    lines.until("stack `dt-drift-watch` is as it was made");
    assert_eq!(taken(&listener, "204 No Content").1["drift"], false);
    project.write("stack.rhai", "let x = ;");
    assert!(taken(&listener, "200 OK").1["error"].is_string());
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
        (&["backpu"][..], "after `--` stands no command of dollop"),
        (&["timer", "--", "backup"][..], "this command is for somebody in front of it"),
    ] {
        let refused = project.run(&[&["timer", "--"], command].concat()).expect(64);
        assert!(refused.stderr.contains(why), "{}", refused.text());
    }
}
