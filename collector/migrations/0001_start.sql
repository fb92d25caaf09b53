-- Everything a collector knows. Times are milliseconds since 1970-01-01 UTC; digests are of tokens and codes, never they themselves.

create table token (
    id integer primary key,
    digest blob not null unique,
    role text not null check (role in ('expert', 'reviewer', 'lead')),
    project text,
    expert text,
    created_at integer not null,
    revoked_at integer
) strict;

create table enrolment (
    id integer primary key,
    digest blob not null unique,
    project text not null,
    expert text not null,
    expires_at integer not null,
    used_at integer
) strict;

-- One bundle that an expert announced. `state` is what people see; `facts` is what verification read from the file.
create table bundle (
    id text primary key,
    token integer not null references token (id),
    project text not null,
    expert text not null,
    bytes integer not null,
    sha256 text not null,
    approval text not null,
    state text not null
        check (state in ('created', 'receiving', 'received', 'verifying', 'verified', 'rejected')),
    reason text,
    facts text,
    upload text not null unique,
    created_at integer not null,
    changed_at integer not null
) strict;

create index bundle_by_state on bundle (state);

-- The bytes of a bundle on their way. This row owns the offset: what it says is durable, whatever the file looks like.
-- `epoch` goes up with each request that takes the upload over; a writer of an older epoch commits nothing.
create table upload (
    id text primary key,
    bundle text not null references bundle (id),
    length integer not null,
    offset integer not null default 0,
    epoch integer not null default 0,
    metadata text
) strict;
