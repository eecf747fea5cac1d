//! What `dollop init` writes works as it is written.

use dollop_tests::cli::Project;

use super::quickstart::Stack;

/// A stack made from a template.
fn start(template: &str, name: &str) -> Stack {
    let project = Project::new(name, "");
    std::fs::remove_file(project.folder().join("stack.rhai")).expect("an empty folder");
    drop(project.run(&["init", "--template", template]).expect(0));
    Stack::of(project, name)
}

#[test]
fn a_web_server_and_its_database_from_a_template() {
    let stack = start("web-postgres", "init-web");
    let apply = ["apply", "--auto-approve", "--param", "web_port=18471"];
    drop(stack.project.run(&apply).expect(0));
    let again = ["plan", "--detailed-exitcode", "--param", "web_port=18471"];
    drop(stack.project.run(&again).expect(0));
    let owner = "select pg_get_userbyid(datdba) from pg_database where datname = 'app'";
    assert_eq!(stack.sql("postgres", owner), "app");
    drop(stack.project.destroy(&[]).expect(0));
    assert!(stack.labelled("container").is_empty());
}

#[test]
fn a_queue_and_its_workers_from_a_template() {
    let stack = start("rabbitmq-worker", "init-jobs");
    stack.apply();
    stack.expect_no_changes();
    assert_eq!(stack.labelled("container").len(), 3);
    drop(stack.project.destroy(&[]).expect(0));
    assert!(stack.labelled("container").is_empty());
}
