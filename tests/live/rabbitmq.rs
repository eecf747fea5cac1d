//! The rabbitmq provider against the real thing.
