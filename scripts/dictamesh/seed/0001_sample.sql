SET ROLE dictamesh;

INSERT INTO dictamesh_entity_catalog (domain, name, description)
VALUES ('sales', 'order', 'what was ordered'), ('sales', 'customer', 'who ordered it');

RESET ROLE;
