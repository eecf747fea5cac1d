//! Images built by BuildKit, and by the classic builder where that is asked for.

use std::fmt::Write as _;

use dollop_tests::cli::Project;

use super::second::SecondEngine;
use super::support::{BUSYBOX, docker, image_removed, unique};
use crate::live::quickstart::Stack;

const FIRST: &str = "f1rst-build-word";
const SECOND: &str = "sec0nd-build-word";
const PLAIN: &str = "pla1n-build-word";

/// A program in an image, and what it prints.
fn in_image(image: &str, line: &str) -> String {
    docker(&["run", "--rm", "--network", "none", image, "sh", "-c", line])
}

/// An image that is built as the rest of a script says.
fn script(image: &str, build: &str) -> String {
    format!(
        r#"docker::image("{image}", #{{ keep: false, build: #{{ context: "./app", {build} }} }});"#
    )
}

/// Everything a project keeps on the disk.
fn on_disk(project: &Project) -> Vec<u8> {
    let files = project.files();
    // One of the values is written there.
    let kept = files.into_iter().filter(|(name, _)| name != "stack.rhai");
    kept.filter_map(|(_, content)| content).flatten().collect()
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|part| part == word.as_bytes())
}

#[test]
fn a_dockerfile_may_lie_beside_the_folder() {
    let name = unique("beside");
    let image = format!("{name}:1");
    let _image = image_removed(&image);
    let stack = Stack::of(Project::new(&name, ""), &name);
    let project = &stack.project;
    project.write("app/main", "main");
    // Nothing in the folder tells of it, whatever this says.
    project.write("app/.dockerignore", "*\n!main\n");
    for builder in ["buildkit", "classic"] {
        let more = format!("dockerfile: \"../docker/web.Dockerfile\", builder: \"{builder}\"");
        project.write("stack.rhai", &script(&image, &more));
        for text in ["one", "two"] {
            let dockerfile = format!("FROM {BUSYBOX}\nCOPY . /app\nRUN echo {text} > /text\n");
            project.write("docker/web.Dockerfile", &dockerfile);
            drop(project.run(&["plan", "--detailed-exitcode"]).expect(2));
            drop(project.run(&["apply", "--auto-approve"]).expect(0));
            assert_eq!(in_image(&image, "cat /text; ls -A /app"), format!("{text}\nmain"));
            drop(project.run(&["plan", "--detailed-exitcode"]).expect(0));
        }
    }
    // By its whole path, and not there.
    let whole = project.folder().join("docker/web.Dockerfile");
    let more = format!("dockerfile: \"{}\", builder: \"buildkit\"", whole.display());
    project.write("stack.rhai", &script(&image, &more));
    drop(project.run(&["check"]).expect(0));
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    project.write("stack.rhai", &script(&image, "dockerfile: \"../docker/no.Dockerfile\""));
    let said = project.run(&["check"]);
    assert!(said.text().contains("`./docker/no.Dockerfile` does not exist"), "{}", said.text());
}

#[test]
fn a_secret_is_in_the_build_and_nowhere_else() {
    let name = unique("secret");
    let image = format!("{name}:1");
    let _image = image_removed(&image);
    let more = format!("secrets: #{{ npm: token, other: \"{PLAIN}\", made: made.result }}");
    let script = format!(
        "let token = param(\"token\", #{{ secret: true }});\n\
         let made = local::random(\"made\", #{{ length: 24 }});\n{}",
        script(&image, &more)
    );
    let stack = Stack::of(Project::new(&name, &script), &name);
    let project = &stack.project;
    // BuildKit would take the layer an earlier run made with its secret.
    let dockerfile = |line: &str| {
        let mounts = "--mount=type=secret,id=npm,required=true --mount=type=secret,id=other";
        let text = format!("FROM {BUSYBOX}\nRUN {mounts} \\\n  : {name}; {line}\n");
        project.write("app/Dockerfile", &text);
    };
    let with = |words: &[&str], token: &str| {
        let token = format!("token={token}");
        let words: Vec<&str> = words.iter().copied().chain(["--param", &token]).collect();
        project.run(&words)
    };
    dockerfile(
        "sha256sum < /run/secrets/npm > /npm; sha256sum < /run/secrets/other > /other; \
         date +%s%N > /when",
    );
    let planned = with(&["plan"], FIRST).expect(0);
    let applied = with(&["apply", "--auto-approve"], FIRST).expect(0);
    let sum = |word: &str| in_image(BUSYBOX, &format!("printf %s {word} | sha256sum"));
    assert_eq!(in_image(&image, "cat /npm"), sum(FIRST), "the step could read it");
    assert_eq!(in_image(&image, "cat /other"), sum(PLAIN));
    assert_eq!(in_image(&image, "ls -A /run/secrets 2>/dev/null | wc -l"), "0");
    drop(with(&["plan", "--detailed-exitcode"], FIRST).expect(0));

    // Not in the image, its history and its layers; not in the state, sealed or not; not in
    // what is shown.
    let saved = project.folder().join("image.tar");
    docker(&["save", "--output", &saved.to_string_lossy(), &image]);
    let archive = std::fs::read(&saved).expect("the image");
    std::fs::remove_file(&saved).expect("it goes");
    let mut shown = docker(&["history", "--no-trunc", &image]);
    shown.push_str(&docker(&["image", "inspect", &image]));
    for run in [&planned, &applied] {
        write!(shown, "{}{}", run.stdout, run.stderr).expect("text");
    }
    let found = dollop_state::read_state(&project.folder().join(".dollop")).expect("a state");
    for record in found.state.records.values() {
        write!(shown, "{} {}", record.spec.to_json(), record.facts.to_json()).expect("text");
    }
    // Not even one that is known since the apply only.
    let records = found.state.records.values();
    let specs = records.filter_map(|record| record.spec.get("build"));
    let kept: Vec<_> =
        specs.filter_map(|build| Some(build.get("secrets")?.to_json())).collect();
    let nothing = serde_json::json!({
        "npm": "(not kept)", "other": "(not kept)", "made": "(not kept)",
    });
    assert_eq!(kept, [nothing]);
    let disk = on_disk(project);
    for word in [FIRST, PLAIN] {
        assert!(!holds(&archive, word), "`{word}` is in the image");
        assert!(!holds(&disk, word), "`{word}` is on the disk");
        assert!(!shown.contains(word), "{shown}");
    }

    // Another attribute builds nothing; another value builds it again, although no file and
    // no setting differs, and a saved plan does not hold it.
    let when = || in_image(&image, "cat /when");
    let built = when();
    project.write("stack.rhai", &script.replace("keep: false", "keep: true"));
    drop(with(&["apply", "--auto-approve"], FIRST).expect(0));
    assert_eq!(when(), built);
    drop(with(&["plan", "--detailed-exitcode"], FIRST).expect(0));
    let plan = with(&["plan", "--detailed-exitcode", "--out", "the.plan"], SECOND).expect(2);
    assert!(plan.stdout.contains("secrets"), "{}", plan.stdout);
    assert!(!plan.text().contains(SECOND), "{}", plan.text());
    assert!(!holds(&on_disk(project), SECOND));
    drop(with(&["apply", "--plan", "the.plan", "--auto-approve"], SECOND).expect(0));
    assert_eq!(in_image(&image, "cat /npm"), sum(SECOND));
    drop(with(&["plan", "--detailed-exitcode"], SECOND).expect(0));
    assert!(!holds(&on_disk(project), SECOND));

    // A step that prints it and fails.
    dockerfile("cat /run/secrets/npm; echo; echo and then; exit 7");
    let failed = with(&["apply", "--auto-approve"], SECOND).expect(1);
    println!("{}", failed.stderr);
    assert!(failed.stderr.contains("and then"), "{}", failed.stderr);
    assert!(!failed.text().contains(SECOND), "{}", failed.text());
    assert!(!holds(&on_disk(project), SECOND));
    dockerfile("true");
    drop(with(&["destroy", "--auto-approve"], SECOND).expect(0));
    drop(docker(&["image", "rm", "--force", &image]));
}

#[test]
fn an_ephemeral_value_can_be_a_secret_of_a_build() {
    let name = unique("ephemeral");
    let image = format!("{name}:1");
    let _image = image_removed(&image);
    let of = |build: &str| {
        let script = script(&image, build);
        format!("let token = param(\"token\", #{{ ephemeral: true }});\n{script}")
    };
    let stack = Stack::of(Project::new(&name, &of("secrets: #{ npm: token }")), &name);
    let project = &stack.project;
    let text = format!(
        "FROM {BUSYBOX}\nRUN --mount=type=secret,id=npm : {name}; wc -c < /run/secrets/npm > /size\n"
    );
    project.write("app/Dockerfile", &text);
    let token = format!("token={FIRST}");
    let run = |words: &[&str]| project.run(&[words, &["--param", &token]].concat());
    drop(run(&["apply", "--auto-approve"]).expect(0));
    assert_eq!(in_image(&image, "cat /size"), FIRST.len().to_string());
    drop(run(&["plan", "--detailed-exitcode"]).expect(0));
    // Anywhere else in the same map it would be kept.
    project.write("stack.rhai", &of("args: #{ TOKEN: token }"));
    let refused = run(&["plan"]).expect(1);
    println!("{}", refused.stderr);
    assert!(refused.stderr.contains("E0315"), "{}", refused.stderr);
    assert!(refused.stderr.contains("`build.secrets`"), "{}", refused.stderr);
    project.write("stack.rhai", &of("secrets: #{ npm: token }"));
    drop(run(&["destroy", "--auto-approve"]).expect(0));
}

#[test]
fn mounts_of_a_build_work() {
    let name = unique("mounts");
    let image = format!("{name}:1");
    let _image = image_removed(&image);
    let stack = Stack::of(Project::new(&name, &script(&image, "")), &name);
    let project = &stack.project;
    let dockerfile = format!(
        "FROM {BUSYBOX}\n\
         RUN --mount=type=cache,id={name},target=/cache --mount=type=bind,target=/src \\\n\
           --mount=type=tmpfs,target=/scratch \\\n\
           cat /src/v >> /cache/log && touch /scratch/x && cat /cache/log > /seen\n"
    );
    project.write("app/Dockerfile", &dockerfile);
    project.write("app/v", "one\n");
    stack.apply();
    assert_eq!(in_image(&image, "cat /seen"), "one");
    // What was cached is there for the next build, and not in the image.
    project.write("app/v", "two\n");
    stack.apply();
    assert_eq!(in_image(&image, "cat /seen"), "one\ntwo");
    assert_eq!(
        in_image(&image, "ls -A /cache /src /scratch 2>/dev/null | grep -c log || true"),
        "0"
    );
    stack.expect_no_changes();
    drop(project.run(&["destroy", "--auto-approve"]).expect(0));
}

/// What both builders must do alike.
#[test]
fn both_builders_make_the_same_of_a_folder() {
    for builder in ["buildkit", "classic"] {
        let name = unique(builder);
        let image = format!("{name}:1");
        let _image = image_removed(&image);
        let more = format!(
            r#"builder: "{builder}", args: #{{ COLOUR: "red" }}, labels: #{{ team: "shop" }},
                target: "second", extra_hosts: ["db:10.0.0.5"], network: "none""#
        );
        let stack = Stack::of(Project::new(&name, &script(&image, &more)), &name);
        let project = &stack.project;
        let dockerfile = format!(
            "FROM {BUSYBOX} AS first\nCOPY . /app\nFROM first AS second\nARG COLOUR\n\
             RUN echo $COLOUR > /colour && grep db /etc/hosts > /hosts\n\
             FROM second\nRUN exit 1\n"
        );
        project.write("app/Dockerfile", &dockerfile);
        let ignored = "Dockerfile\n.dockerignore\nskip\nsub/*\n!sub/keep\n";
        project.write("app/.dockerignore", ignored);
        for file in ["v", "skip", "sub/keep", "sub/other", "deep/er/w"] {
            project.write(&format!("app/{file}"), file);
        }
        std::os::unix::fs::symlink("v", project.folder().join("app/link")).expect("a link");
        stack.apply();
        let listed =
            in_image(&image, "cd /app && find . -type f -o -type l | sort; readlink link");
        assert_eq!(listed, "./deep/er/w\n./link\n./sub/keep\n./v\nv", "{builder}");
        assert_eq!(
            in_image(&image, "cat /colour; cat /app/link; echo; stat -c %u /app/v"),
            "red\nv\n0"
        );
        assert!(in_image(&image, "cat /hosts").contains("10.0.0.5"));
        let labels =
            docker(&["image", "inspect", "--format", "{{json .Config.Labels}}", &image]);
        assert!(
            labels.contains(r#""team":"shop""#) && labels.contains("dollop.build"),
            "{labels}"
        );
        let comment = docker(&["history", "--format", "{{.Comment}}", &image]);
        assert_eq!(comment.contains("buildkit"), builder == "buildkit", "{comment}");
        // What is left out counts for nothing; what is not does.
        project.write("app/skip", "otherwise");
        stack.expect_no_changes();
        project.write("app/v", "w");
        stack.apply();
        assert_eq!(in_image(&image, "cat /app/link"), "w", "{builder}");
        stack.expect_no_changes();
        drop(project.run(&["destroy", "--auto-approve"]).expect(0));
    }
}

#[test]
fn a_build_that_fails_says_where_and_what_to_do() {
    let name = unique("fails");
    let image = format!("{name}:1");
    let _image = image_removed(&image);
    let stack = Stack::of(Project::new(&name, &script(&image, "")), &name);
    let project = &stack.project;
    project.write("app/v", "1");
    let from = format!("FROM {BUSYBOX}\n");
    let said = |build: &str, dockerfile: &str, says: &[&str]| {
        project.write("stack.rhai", &script(&image, build));
        project.write("app/Dockerfile", dockerfile);
        let failed = project.run(&["apply", "--auto-approve"]).expect(1);
        println!("{}", failed.stderr);
        let text = failed.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in says {
            assert!(text.contains(words), "`{words}` is not in\n{}", failed.stderr);
        }
    };
    let loud = format!("{from}RUN echo fine\nRUN echo the last words; exit 3\n");
    let log = "the end of the log of `[3/3] RUN echo the last words; exit 3`: the last words";
    said("", &loud, &["exit code: 3", log, "fix the Dockerfile"]);
    said("builder: \"classic\"", &loud, &["the end of its log:", "the last words"]);
    let mount = format!("{from}RUN --mount=type=cache,target=/c true\n");
    said("builder: \"classic\"", &mount, &["take out `builder: \"classic\"`"]);
    said(
        "builder: \"classic\", secrets: #{ a: \"b\" }",
        &mount,
        &["classic builder has no secrets"],
    );
    let secret = format!("{from}RUN --mount=type=secret,id=npm,required=true true\n");
    said("", &secret, &["secret npm not found", "`secrets: #{ \"npm\": value }`"]);
    let ssh = format!("{from}RUN --mount=type=ssh,required=true true\n");
    said("", &ssh, &["dollop hands on no SSH agent"]);
    let syntax = format!("# syntax=dollop-test.invalid/frontend:1\n{from}");
    said("", &syntax, &["take the line out to use what the engine has built in"]);
    said("", "FROM dollop-test.invalid/none:1\n", &["the image its Dockerfile starts from"]);
    said("", &format!("{from}COPY missing /x\n"), &["missing", "fix the Dockerfile"]);
    let heredoc = format!("{from}RUN <<EOF\necho hello\nEOF\n");
    said("", &heredoc, &["between `<<EOF` and `EOF`"]);
    said(
        "network: \"other\", secrets: #{ a: \"b\" }",
        &from,
        &["cannot do a `network` by name"],
    );
    said("", "FROM scratch\nEXPOSE nonsense/what\n", &["fix the Dockerfile"]);
    drop(project.run(&["destroy", "--auto-approve"]).expect(0));
}

#[test]
fn layers_of_another_image_are_used_again() {
    let engine = SecondEngine::start(&[]);
    let build = |from: &str, inline: &str| {
        format!(
            r#"docker::image("dt/IMAGE:1", #{{ keep: true, build: #{{ context: ".",
                dockerfile_inline: "FROM {BUSYBOX}\nRUN date +%s%N > /when",
                args: #{{ {inline} }}, {from} }} }});"#
        )
    };
    let project = Project::new("cachefrom", "").env("DOCKER_HOST", &engine.host());
    let make = |image: &str, script: &str| {
        project.write("stack.rhai", &script.replace("IMAGE", image));
        drop(project.run(&["apply", "--auto-approve"]).expect(0));
        // Nothing but the images themselves is left.
        engine.docker(&["builder", "prune", "--all", "--force"]);
        engine.docker(&["run", "--rm", &format!("dt/{image}:1"), "cat", "/when"])
    };
    let inline = "BUILDKIT_INLINE_CACHE: \"1\"";
    let first = make("first", &build("", inline));
    let other = make("other", &build("", inline));
    assert_ne!(first, other, "nothing was left to use again");
    let again = make("again", &build(r#"cache_from: ["dt/first:1"]"#, inline));
    assert_eq!(first, again);
}

#[test]
fn an_engine_without_buildkit_builds_by_its_own_means() {
    let engine = SecondEngine::configured(r#"{"features":{"buildkit":false}}"#, &[]);
    let project = Project::new("nobuildkit", &script("dt/old:1", ""));
    let project = project.env("DOCKER_HOST", &engine.host());
    project.write("app/Dockerfile", &format!("FROM {BUSYBOX}\nCOPY v /v\n"));
    project.write("app/v", "1");
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let comment = engine.docker(&["history", "--format", "{{.Comment}}", "dt/old:1"]);
    assert!(!comment.contains("buildkit"), "{comment}");
    for (build, line, says) in [
        ("", "RUN --mount=type=cache,target=/c true", "upgrade the engine"),
        (
            "secrets: #{ a: \"bcd\" }",
            "RUN true",
            "`secrets` needs BuildKit, which the engine at",
        ),
        ("builder: \"buildkit\"", "RUN true", "needs BuildKit, which the engine at"),
    ] {
        project.write("stack.rhai", &script("dt/old:1", build));
        project.write("app/Dockerfile", &format!("FROM {BUSYBOX}\n{line}\n"));
        let refused = project.run(&["apply", "--auto-approve"]).expect(1);
        println!("{}", refused.stderr);
        let text = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(says), "{}", refused.stderr);
    }
}
