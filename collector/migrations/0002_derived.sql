-- What the verifying child process made of a bundle: its actions (JSON) and its strip of small pictures (JPEG). A row without
-- bytes says that there is none, and `problem` why. A verified bundle without rows is from before; they are made when asked for.

create table derived (
    bundle text not null references bundle (id) on delete cascade,
    name text not null check (name in ('actions', 'preview')),
    bytes blob,
    problem text,
    primary key (bundle, name)
) strict;
