//! Attributes of other tools, by Terraform's `cyrilgdn/postgresql` and Ansible's
//! `community.postgresql`, with what to write instead: see
//! [`Traits::instead`](dollop_engine::resource::Traits::instead).

use dollop_engine::resource::Instead;

/// What is dropped goes with what depends on it only where the script says so.
const DROPS: &str = "what depends on it is listed in the plan, and stands in the way until it is \
                     declared away";
/// A resource stands for one thing, which is made when it is not there.
const ALWAYS: &str = "leave it out: what is declared is made where it is not there, and `adopt: \
                      true` takes over what is";

/// Of a server.
pub(super) const SERVER: Instead = Instead(&[
    (
        "container",
        "say where it is reached: `host: pg.host_ip, port: pg.host_ports[\"5432/tcp\"]` where it \
         publishes a port, `host: pg.addresses[\"NETWORK\"]` where it publishes none",
    ),
    ("username", "it is called `user`"),
    ("login_user", "it is called `user`"),
    ("login_password", "it is called `password`"),
    ("login_host", "it is called `host`"),
    ("dbname", "it is called `database`"),
    ("ssl_mode", "it is called `sslmode`"),
    ("ca_cert", "it is called `sslrootcert`"),
    ("clientcert", "they are called `sslcert` and `sslkey`"),
    ("max_connections", "it is called `concurrency`"),
    ("superuser", "leave it out: the server is asked what the user may do"),
    ("expected_version", "leave it out: the server is asked for its version"),
    ("url", "give its parts: `host`, `port`, `user`, `password`, `database`"),
]);

/// Of a role.
pub(super) const ROLE: Instead = Instead(&[
    ("create_role", "it is called `createrole`"),
    ("create_database", "it is called `createdb`"),
    ("bypass_row_level_security", "it is called `bypassrls`"),
    ("roles", "it is called `member_of`"),
    ("groups", "it is called `member_of`"),
    ("search_path", "it is a setting: `settings: #{ search_path: \"app, public\" }`"),
    ("statement_timeout", "it is a setting: `settings: #{ statement_timeout: \"5s\" }`"),
    ("lock_timeout", "it is a setting: `settings: #{ lock_timeout: \"5s\" }`"),
    (
        "encrypted_password",
        "leave it out: the server only ever gets a verifier, made on this machine",
    ),
    ("password_wo", "it is called `password`; a value can be `ephemeral` in any attribute"),
    ("skip_drop_role", "say `retain_on_destroy: true`"),
    (
        "skip_reassign_owned",
        "what it owns stays unless `reassign_owned_to` or `drop_owned` says otherwise",
    ),
    (
        "assume_role",
        "a server whose `user` has that role does it: declare another `postgres::server`",
    ),
    ("role_attr_flags", "each has a name: `login`, `superuser`, `createdb`, `createrole`"),
    ("expires", "it is called `valid_until`"),
    ("conn_limit", "it is called `connection_limit`"),
    ("configuration", "it is called `settings`"),
]);

/// Of a grant.
pub(super) const GRANT: Instead = Instead(&[
    ("object_type", "it is called `on`: `on: \"tables\"`"),
    ("type", "it is called `on`: `on: \"tables\"`"),
    ("objs", "it is called `objects`"),
    ("roles", "one `grant` for each `role`: write a loop"),
    ("privs", "it is called `privileges`"),
    ("grant_option", "it is called `with_grant_option`"),
]);

/// Of what everybody may do.
pub(super) const PRIVILEGES: Instead = Instead(&[
    ("columns", OF_COLUMNS),
    ("grants.columns", OF_COLUMNS),
    ("role", OF_ROLES),
    ("privileges", OF_ROLES),
    ("with_grant_option", "say it of each role in `grants`"),
    ("object_type", "it is called `on`: `on: \"tables\"`"),
]);

/// Where privileges on columns are said.
const OF_COLUMNS: &str = "declare a `grant` with these `columns` beside it, for each role";

/// Where those of one role are.
const OF_ROLES: &str = "list it in `grants`: `#{ role: app, privileges: [\"SELECT\"] }`";

/// Of a database.
pub(super) const DATABASE: Instead = Instead(&[
    ("tablespace_name", "it is called `tablespace`"),
    ("alter_object_ownership", "leave it out: what is in it keeps its owner"),
    ("conn_limit", "it is called `connection_limit`"),
    ("force", "it is called `force_drop`"),
    ("locale", "it is called `lc_collate` and `lc_ctype`, or `icu_locale`"),
]);

/// Of a schema.
pub(super) const SCHEMA: Instead = Instead(&[
    ("drop_cascade", "it is called `cascade`"),
    ("cascade_drop", "it is called `cascade`"),
    ("if_not_exists", ALWAYS),
    (
        "policy",
        "declare a `grant` on it for each role: `on: \"schema\", privileges: [\"USAGE\"]`",
    ),
]);

/// Of default privileges.
pub(super) const DEFAULT_PRIVILEGES: Instead = Instead(&[
    ("object_type", "it is called `on`: `on: \"tables\"`"),
    ("objs", "it is called `on`: `on: \"tables\"`"),
    ("target_roles", "it is called `owner`"),
]);

/// Of an extension.
pub(super) const EXTENSION: Instead = Instead(&[
    ("drop_cascade", DROPS),
    ("create_cascade", "it is called `cascade`"),
    ("ext", "it is the name: `db.extension(\"pg_trgm\")`"),
]);

/// Of a membership.
pub(super) const MEMBERSHIP: Instead = Instead(&[
    ("grant_role", "it is called `role`; who gets it is the `member`"),
    ("groups", "it is called `role`"),
    ("target_roles", "it is called `member`"),
    ("with_admin_option", "it is called `admin`"),
]);

/// Of a publication.
pub(super) const PUBLICATION: Instead = Instead(&[
    ("drop_cascade", DROPS),
    ("publish_param", "it is called `operations`"),
    ("publish_via_partition_root_param", "it is called `via_root`"),
]);

/// Of a subscription.
pub(super) const SUBSCRIPTION: Instead = Instead(&[
    ("conninfo", "it is called `connection`"),
    ("connparams", "it is called `connection`"),
    ("slot_name", "it is called `slot`"),
]);

/// Of a mapping of users.
pub(super) const USER_MAPPING: Instead =
    Instead(&[("server_name", "it is called `server`"), ("user_name", "it is called `role`")]);
