//! What people stored comes back after everything went, volumes and all.

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
