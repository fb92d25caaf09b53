-- How many bytes of a delivery were handed to the connection. Of earlier ones only what was asked for is known.

alter table export_delivery add column sent integer not null default 0;
update export_delivery set sent = bytes;
