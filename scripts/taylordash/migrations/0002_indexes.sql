SET ROLE taylordash;

CREATE INDEX events_by_time ON events (project, received DESC);
CREATE INDEX events_by_topic ON events (topic text_pattern_ops);

RESET ROLE;
