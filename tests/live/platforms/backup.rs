//! What people stored comes back after everything went, volumes and all; and as it was at a moment.

use std::time::{Duration, Instant};

use dollop_tests::cli::Run;
use serde_json::Value as Json;

use super::platform::Platform;
use crate::live::backup::settled;
use crate::live::quickstart::docker;

/// A sum over the rows of every table of a database.
const SUMS: &str = "select string_agg(format('%s.%s %s', table_schema, table_name, \
     md5(query_to_xml(format('select t::text from %I.%I t order by 1', table_schema, table_name), \
     true, false, '')::text)), E'\\n' order by table_schema, table_name) \
     from information_schema.tables where table_type = 'BASE TABLE' \
     and table_schema not in ('pg_catalog', 'information_schema')";

impl Platform {
    /// Saves, tries it, destroys everything, applies anew and restores: rows and topology are the
    /// same.
    pub(super) fn comes_back(&self, profiles: &[&str]) {
        let (sums, topology) = (self.sums(), self.topology());
        drop(self.stack.project.run(&["backup", "--stop"]).expect(0));
        drop(self.stack.project.run(&["restore", "latest", "--verify"]).expect(0));
        self.goes();
        self.applies(profiles);
        assert_ne!(self.sums(), sums, "what was stored is gone");
        // New servers have written files of their own.
        drop(self.agreed(&["restore", "latest", "--auto-approve"]));
        self.wait_until_healthy();
        assert_eq!(self.sums(), sums);
        assert_eq!(self.topology(), topology);
        drop(self.run(&["plan", "--detailed-exitcode"], profiles).expect(0));
    }

    /// The server as it was at a moment, beside the one there is: by hand, as `docs/operations.md`
    /// tells it.
    pub(super) fn goes_back(&self) {
        let sql = |statement: &str| self.sql("postgres", "taylordash", statement);
        sql("create table moments (n int); insert into moments values (1)");
        drop(self.stack.project.run(&["run", "base-backup"]).expect(0));
        sql("insert into moments values (2)");
        let moment = sql("select clock_timestamp()");
        sql("insert into moments values (3)");
        let last = sql("select pg_walfile_name(pg_switch_wal())");
        let number = sql("select system_identifier from pg_control_system()");
        let (archive, server) = (format!("{}-archive", self.container("postgres")), "dt-back");
        let kept = format!("/archive/{number}");
        let container = self.container("postgres");
        until(|| docker(&["exec", &container, "ls", &kept]).lines().any(|file| file == last));

        let prepare = format!(
            "tar xzf {kept}/base-*/base.tar.gz -C /data; cd /data; \
             echo \"restore_command = 'cp {kept}/%f %p'\" >> postgresql.auto.conf; \
             echo \"recovery_target_time = '{moment}'\" >> postgresql.auto.conf; \
             echo \"recovery_target_action = promote\" >> postgresql.auto.conf; \
             touch recovery.signal; chown -R postgres .; chmod 700 ."
        );
        let archive = format!("{archive}:/archive:ro");
        docker(&["volume", "create", server]);
        let data = format!("{server}:/data");
        docker(&[
            "run",
            "--rm",
            "-v",
            &archive,
            "-v",
            &data,
            "postgres:15",
            "sh",
            "-ec",
            &prepare,
        ]);
        let data = format!("{server}:/var/lib/postgresql/data");
        docker(&["run", "-d", "--name", server, "-v", &archive, "-v", &data, "postgres:15"]);
        let ask = "select pg_is_in_recovery() || ' ' || string_agg(n::text, ',' order by n) from moments";
        let psql =
            ["exec", "-u", "postgres", server, "psql", "-XAtq", "-d", "taylordash", "-c", ask];
        until(|| {
            let asked =
                std::process::Command::new("docker").args(psql).output().expect("docker");
            String::from_utf8_lossy(&asked.stdout).trim() == "false 1,2"
        });
        docker(&["rm", "--force", "--volumes", server]);
        docker(&["volume", "rm", server]);
        sql("drop table moments");
    }

    fn agreed(&self, command: &[&str]) -> Run {
        let consent = self.consent();
        let mut all = command.to_vec();
        all.extend(consent.iter().map(String::as_str));
        self.stack.project.run(&all).expect(0)
    }

    /// By database: every table with a sum of its rows.
    fn sums(&self) -> Vec<String> {
        let databases =
            "select datname from pg_database where not datistemplate and datname <> 'postgres'";
        let databases = self.sql("postgres", "postgres", databases);
        let mut sums: Vec<_> = databases
            .lines()
            .map(|name| format!("{name}\n{}", self.sql("postgres", name, SUMS)))
            .collect();
        sums.sort();
        sums
    }

    /// Everything its RabbitMQ defines, where there is one.
    fn topology(&self) -> Option<Json> {
        let here = self.addresses().contains(&"docker::container.rabbitmq".to_owned());
        here.then(|| {
            let container = self.container("rabbitmq");
            let export = ["exec", &container, "rabbitmqctl", "-q", "export_definitions", "-"];
            settled(serde_json::from_str(&docker(&export)).expect("JSON"))
        })
    }
}

/// Waits until something holds.
fn until(holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_mins(2);
    while !holds() {
        assert!(Instant::now() < end, "it did not come to that in two minutes");
        std::thread::sleep(Duration::from_millis(500));
    }
}
