-- The queue of uploads of this user. What is here survives kill, reboot and network cuts.

create table upload (
    bundle_id text primary key,
    path text not null,
    bytes integer not null,
    sha256 text not null,
    -- The collector's address, or where another tus server makes uploads.
    server text not null,
    is_collector integer not null,
    -- Stored before the first byte is sent.
    upload_url text,
    sent integer not null default 0,
    state text not null,
    reason text,
    queued_at integer not null
) strict;
