-- Settings that were set at the desk: a layer below the settings file and the environment. `value`: as it was typed; `set_by`: "kind:id"
-- of the actor.
create table settings (
    key text not null primary key,
    value text not null,
    set_by text not null,
    set_at bigint not null
);
