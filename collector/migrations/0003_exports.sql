-- What leads had exported: the ledger. Rows stay when archives are removed; `bundle` may outlive its row, so it is no reference.

create table export (
    id text primary key,
    token integer not null references token (id),
    recipient text not null,
    request text not null,
    state text not null check (state in ('waiting', 'running', 'ready', 'failed', 'removed')),
    reason text,
    part real not null default 0,
    steps integer,
    bytes integer,
    sha256 text,
    created_at integer not null,
    changed_at integer not null
) strict;

create index export_by_state on export (state);

-- The bundles of an export, with their digests at that time. `problem` says why one is not in it, or what of it is missing.
create table export_source (
    export text not null references export (id),
    place integer not null,
    bundle text not null,
    sha256 text not null,
    steps integer,
    problem text,
    primary key (export, place)
) strict;

-- Each time that bytes of an archive went out: to which token, from where on, how many were asked for.
create table export_delivery (
    export text not null references export (id),
    token integer not null references token (id),
    at integer not null,
    start integer not null,
    bytes integer not null
) strict;

create index export_delivery_by_export on export_delivery (export);
