//! Attributes of other tools, by Terraform's `cyrilgdn/rabbitmq` and Ansible's
//! `community.rabbitmq`, with what to write instead: see
//! [`Traits::instead`](dollop_engine::resource::Traits::instead).

use dollop_engine::resource::Instead;

/// Of a server.
pub(super) const SERVER: Instead = Instead(&[
    (
        "container",
        "say where it is reached: `host: mq.host_ip, port: mq.host_ports[\"15672/tcp\"]` where it \
         publishes a port, `host: mq.addresses[\"NETWORK\"]` where it publishes none",
    ),
    ("endpoint", "give its parts: `host`, `port`, and `scheme: \"https\"` for TLS"),
    ("url", "give its parts: `host`, `port`, and `scheme: \"https\"` for TLS"),
    ("username", "it is called `user`"),
    ("login_user", "it is called `user`"),
    ("login_password", "it is called `password`"),
    ("login_host", "it is called `host`"),
    ("login_port", "it is called `port`"),
    ("cacert_file", "it is called `ca`"),
    ("clientcert_file", "it is called `client_certificate`"),
    ("clientkey_file", "it is called `client_key`"),
]);

/// Of permissions.
pub(super) const PERMISSION: Instead = Instead(&[
    ("permissions", "its parts stand by themselves: `configure`, `write`, `read`"),
    ("user", "it is the first argument: `shop.permission(worker, #{ .. })`"),
    ("configure_priv", "it is called `configure`"),
    ("write_priv", "it is called `write`"),
    ("read_priv", "it is called `read`"),
]);

/// Of a queue.
pub(super) const QUEUE: Instead = Instead(&[
    ("settings", "its parts stand by themselves: `durable`, `auto_delete`, `arguments`"),
    ("arguments_json", "it is called `arguments`, a map"),
    ("auto_expires", "it is called `expires`"),
]);

/// Of an exchange.
pub(super) const EXCHANGE: Instead = Instead(&[
    (
        "settings",
        "its parts stand by themselves: `type`, `durable`, `auto_delete`, `arguments`",
    ),
    ("exchange_type", "it is called `type`"),
]);

/// Of a binding.
pub(super) const BINDING: Instead = Instead(&[
    ("arguments_json", "it is called `arguments`, a map"),
    ("properties_key", "leave it out: the broker makes it from the key and the arguments"),
    ("queue", "it is called `destination`"),
    ("exchange", "it is called `source`"),
]);

/// Of a policy.
pub(super) const POLICY: Instead = Instead(&[
    (
        "policy",
        "its parts stand by themselves: `pattern`, `definition`, `priority`, `apply_to`",
    ),
    ("tags", "it is called `definition`"),
]);

/// Of a user.
pub(super) const USER: Instead = Instead(&[
    ("permissions", "declare a `permission`: `shop.permission(worker, #{ read: \".*\" })`"),
    (
        "configure_priv",
        "declare a `permission`: `shop.permission(worker, #{ configure: \".*\" })`",
    ),
    ("write_priv", "declare a `permission`: `shop.permission(worker, #{ write: \".*\" })`"),
    ("read_priv", "declare a `permission`: `shop.permission(worker, #{ read: \".*\" })`"),
    ("topic_permissions", "declare a `permission` with `topics`"),
    ("vhost", "a user is the broker's; what it may do in a vhost a `permission` says"),
]);
