-- How many bytes of a delivery were handed to the connection; null while that is not known: it is under way, or the server ended in
-- the middle of it.

alter table export_delivery add column sent integer;
